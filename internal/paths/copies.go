package paths

// copiesKept is how far back numbers are remembered. The numbers of a process count
// what it sends to all peers together.
const copiesKept = 1 << 14

// Copies remembers which messages of one process have come: it sends them over several
// paths, and once more if a stream broke. The zero value is ready for use.
type Copies struct {
	newest uint64
	came   [copiesKept / 64]uint64
}

// Take reports whether no message of the number came before, and notes it. One that is
// so old that it is not remembered counts as one that came. A message without a number
// is always taken.
func (c *Copies) Take(number uint64) bool {
	switch {
	case number == 0:
		return true
	case number > c.newest+copiesKept, c.newest == 0:
		clear(c.came[:])
		c.newest = number
	case number > c.newest:
		for n := c.newest + 1; n < number; n++ {
			*c.word(n) &^= bit(n)
		}
		c.newest = number
	case c.newest-number >= copiesKept, *c.word(number)&bit(number) != 0:
		return false
	}
	*c.word(number) |= bit(number)
	return true
}

func (c *Copies) word(n uint64) *uint64 { return &c.came[n/64%uint64(len(c.came))] }

func bit(n uint64) uint64 { return 1 << (n % 64) }
