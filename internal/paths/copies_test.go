package paths

import (
	"slices"
	"testing"
)

// A number counts once, however far back it is remembered.
func TestCopies(t *testing.T) {
	c := &Copies{}
	var came []uint64
	for _, n := range []uint64{5, 6, 5, 9, 7, 9, 8, 7, 0, 0, 9 + copiesKept, 10, 9, 9 + copiesKept, 10 + copiesKept, 1, 5 * copiesKept, 4*copiesKept + 1, 4 * copiesKept} {
		if c.Take(n) {
			came = append(came, n)
		}
	}
	if want := []uint64{5, 6, 9, 7, 8, 0, 0, 9 + copiesKept, 10, 10 + copiesKept, 5 * copiesKept, 4*copiesKept + 1}; !slices.Equal(came, want) {
		t.Errorf("%d came, want %d", came, want)
	}
}
