package wal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	crashSeeds = flag.Int("crash-seeds", 100, "how many random lives TestRandomLivesAndCrashes tries")
	crashSeed  = flag.Uint64("crash-seed", 0, "try only this one")
)

const sector = 512

// disk is a system on real files that also works out what a power cut would
// leave: of each file the synced content and any part of the sectors written
// since, of the directory the synced names and the first few changes since.
type disk struct {
	linux
	random  *rand.Rand
	files   map[*os.File]*inode
	names   map[string]*inode
	durable map[string]*inode
	changes []func(map[string]*inode)
	// failIn is after how many operations one fails; 0 is never.
	failIn  int
	failure error
	// noReserve is a file system without fallocate.
	noReserve bool
}

type inode struct {
	synced  []byte
	pending []pendingWrite
}

type pendingWrite struct {
	off     int64
	p       []byte
	reserve int64
}

func (w pendingWrite) apply(b []byte) []byte {
	if end := int(w.off) + max(len(w.p), int(w.reserve)); end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[w.off:], w.p)
	return b
}

func newDisk(random *rand.Rand) *disk {
	return &disk{random: random, files: map[*os.File]*inode{}, names: map[string]*inode{}, durable: map[string]*inode{}}
}

// fault is the error that the operation must return, if its time has come.
func (d *disk) fault() error {
	if d.failIn > 0 {
		if d.failIn--; d.failIn == 0 {
			return d.failure
		}
	}
	return nil
}

func (d *disk) change(f func(names map[string]*inode)) {
	f(d.names)
	d.changes = append(d.changes, f)
}

func (d *disk) open(path string, flag int) (*os.File, error) {
	if err := d.fault(); err != nil {
		return nil, err
	}
	f, err := d.linux.open(path, flag)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	node := d.names[name]
	if node == nil {
		node = &inode{}
		d.change(func(names map[string]*inode) { names[name] = node })
	}
	d.files[f] = node
	return f, nil
}

func (d *disk) write(f *os.File, p []byte, off int64) error {
	if err := d.fault(); err != nil {
		// A part of it may have been written.
		p = p[:d.random.IntN(len(p)+1)]
		return errors.Join(err, d.put(f, p, off))
	}
	return d.put(f, p, off)
}

func (d *disk) put(f *os.File, p []byte, off int64) error {
	node := d.files[f]
	for at := off; at < off+int64(len(p)); {
		end := min((at/sector+1)*sector, off+int64(len(p)))
		node.pending = append(node.pending, pendingWrite{off: at, p: bytes.Clone(p[at-off : end-off])})
		at = end
	}
	return d.linux.write(f, p, off)
}

func (d *disk) reserve(f *os.File, off, n int64) error {
	if d.noReserve {
		return unix.EOPNOTSUPP
	}
	if err := d.fault(); err != nil {
		return err
	}
	node := d.files[f]
	node.pending = append(node.pending, pendingWrite{off: off, reserve: n})
	return d.linux.reserve(f, off, n)
}

// datasync asks nothing of the real disk: only processes die here. A failed
// one has kept an unknown part, and makes the rest look clean, as Linux does.
func (d *disk) datasync(f *os.File) error {
	node := d.files[f]
	if err := d.fault(); err != nil {
		node.pending = slices.DeleteFunc(node.pending, func(pendingWrite) bool { return d.random.IntN(2) == 0 })
		for _, w := range node.pending {
			node.synced = w.apply(node.synced)
		}
		node.pending = nil
		return err
	}
	for _, w := range node.pending {
		node.synced = w.apply(node.synced)
	}
	node.pending = nil
	return nil
}

func (d *disk) rename(from, to string) error {
	if err := d.fault(); err != nil {
		return err
	}
	d.change(func(names map[string]*inode) {
		names[filepath.Base(to)] = names[filepath.Base(from)]
		delete(names, filepath.Base(from))
	})
	return d.linux.rename(from, to)
}

func (d *disk) remove(path string) error {
	if err := d.fault(); err != nil {
		return err
	}
	d.change(func(names map[string]*inode) { delete(names, filepath.Base(path)) })
	return d.linux.remove(path)
}

func (d *disk) syncDir(*os.File) error {
	if err := d.fault(); err != nil {
		return err
	}
	d.durable, d.changes = maps.Clone(d.names), nil
	return nil
}

// powerCut puts what is left into dir, and forgets the rest.
func (d *disk) powerCut(t *testing.T, dir string) {
	t.Helper()
	for _, change := range d.changes[:d.random.IntN(len(d.changes)+1)] {
		change(d.durable)
	}
	d.changes = nil
	survives := []float64{0, 0.5, 0.9, 1}[d.random.IntN(4)]
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.durable)) {
		node := d.durable[name]
		for _, w := range node.pending {
			if d.random.Float64() < survives {
				node.synced = w.apply(node.synced)
			}
		}
		node.pending = nil
		writeFile(t, filepath.Join(dir, name), node.synced)
	}
	d.names, d.files = maps.Clone(d.durable), map[*os.File]*inode{}
}

// TestRandomLivesAndCrashes saves random batches, with faults of the system,
// kills and power cuts in between. What is found again must be what was there
// after some batch, and no durable one may be missing.
func TestRandomLivesAndCrashes(t *testing.T) {
	first, last := uint64(1), uint64(*crashSeeds)
	if *crashSeed != 0 {
		first, last = *crashSeed, *crashSeed
	}
	seen := map[string]int{}
	for seed := first; seed <= last; seed++ {
		oneLife(t, seed, seen)
		if t.Failed() {
			t.Fatalf("seed %d; once more: go test ./internal/wal -run RandomLives -crash-seed %d", seed, seed)
		}
	}
	t.Logf("seen: %v", seen)
	for _, what := range []string{"power cut", "kill", "close", "fault", "fault at open", "tear cut", "lost unsynced", "wipe"} {
		if seen[what] == 0 && *crashSeed == 0 {
			t.Errorf("in %d lives there was no %q", *crashSeeds, what)
		}
	}
}

func oneLife(t *testing.T, seed uint64, seen map[string]int) {
	random := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "data")
	d := newDisk(random)
	d.noReserve = random.IntN(4) == 0
	const fresh = "fresh"
	// states holds what may be found after a crash, the last one being what
	// a reader of the files sees now.
	states := []string{fresh}
	// killed is true while the kernel still has all that was written.
	killed := false
	var m model
	for range 3 + random.IntN(6) {
		var log bytes.Buffer
		d.failIn, d.failure = 0, []error{unix.ENOSPC, unix.EIO}[random.IntN(2)]
		if random.IntN(4) == 0 {
			d.failIn = 1 + random.IntN(6)
		}
		l, r, err := open(dir, Options{Logger: warnings(&log)}, d)
		if err != nil && errors.Is(err, d.failure) {
			seen["fault at open"]++
			if random.IntN(2) == 0 {
				d.powerCut(t, dir)
				killed = false
			}
			continue
		}
		if err != nil {
			t.Errorf("open: %v", err)
			return
		}
		got := fresh
		if !r.Fresh {
			got = describe(r)
		}
		if killed {
			states = states[len(states)-1:]
		}
		if !slices.Contains(states, got) {
			t.Errorf("found   %s\nallowed %s", got, strings.Join(states, "\n     or "))
			return
		}
		killed = false
		if strings.Contains(log.String(), "torn") {
			seen["tear cut"]++
		}
		if got != states[len(states)-1] {
			seen["lost unsynced"]++
		}
		states = []string{got}
		m = model{hard: r.HardState, snapshot: r.Snapshot, entries: r.Entries, bound: r.Bound}
		d.failIn = 0
		if random.IntN(3) == 0 {
			d.failIn = 1 + random.IntN(40)
		}
		live := !r.Fresh
		for range random.IntN([]int{3, 25}[random.IntN(2)]) {
			b := randomBatch(random, &m)
			durable := b.Sync || b.Snapshot != nil || b.Reset
			wipe := live && random.IntN(40) == 0
			switch {
			case wipe:
				err = l.Wipe()
				live, durable, m = false, true, model{}
				states = append(states, fresh)
				seen["wipe"]++
			case !live:
				err = l.Init(testIdentity, b)
				live, durable = true, true
				m.save(b)
				states = append(states, m.String())
			default:
				err = l.Save(b)
				if err == nil && len(b.Entries)%2 == 0 {
					err = l.Mark()
				}
				m.save(b)
				states = append(states, m.String())
			}
			if err != nil {
				seen["fault"]++
				if !errors.Is(err, d.failure) {
					t.Errorf("got error %v, want %v", err, d.failure)
				}
				if again := l.Save(Batch{HardState: hard(1e9, 0, 0)}); again != err {
					t.Errorf("after %v a save returned %v", err, again)
				}
				break
			}
			if durable {
				states = states[len(states)-1:]
			}
		}
		switch end := random.IntN(4); {
		case end == 0 && err == nil:
			if err := l.Close(); err == nil {
				states = states[len(states)-1:]
			}
			seen["close"]++
		case end == 1:
			abandon(l)
			seen["kill"]++
			killed = err == nil
		default:
			abandon(l)
			d.powerCut(t, dir)
			seen["power cut"]++
		}
	}
}

// TestWhatOpenReturnsIsDurable lets every operation of a short life fail in
// turn; what the next Open then finds must outlast a power cut right after it,
// though nothing was saved in between.
func TestWhatOpenReturnsIsDurable(t *testing.T) {
	life := func(l *Log) error {
		return firstOf(
			l.Init(testIdentity, Batch{HardState: hard(1, 0, 0)}),
			l.Save(Batch{Entries: entries(1, 1, 3), HardState: hard(2, 1, 1)}),
			l.Save(Batch{HardState: hard(3, 1, 2), Sync: true}),
			l.Save(Batch{Entries: entries(4, 3, 3)}),
			l.Save(Batch{Snapshot: snapshot(2, 1, "two")}),
			l.Save(Batch{Entries: entries(7, 3, 3)}),
			l.Wipe(),
			l.Init(testIdentity, Batch{HardState: hard(9, 0, 0)}),
			l.Save(Batch{HardState: hard(9, 1, 0)}),
		)
	}
	faults, passed := 0, false
	for failAt := 1; !passed; failAt++ {
		for seed := range uint64(8) {
			dir := filepath.Join(t.TempDir(), "data")
			d := newDisk(rand.New(rand.NewPCG(seed, uint64(failAt))))
			l, _, err := open(dir, Options{}, d)
			if err != nil {
				t.Fatal(err)
			}
			d.failIn, d.failure = failAt, unix.EIO
			if err := life(l); err == nil {
				passed = true
			} else if !errors.Is(err, unix.EIO) {
				t.Fatalf("operation %d fails: %v", failAt, err)
			}
			faults++
			abandon(l)
			d.failIn = 0
			var found [2]string
			for i := range found {
				l, r, err := open(dir, Options{}, d)
				if err != nil {
					t.Fatalf("operation %d fails, open: %v", failAt, err)
				}
				found[i] = fmt.Sprintf("fresh %t %s", r.Fresh, describe(r))
				abandon(l)
				d.powerCut(t, dir)
			}
			if found[0] != found[1] {
				t.Fatalf("operation %d fails: found %s\nafter a power cut %s", failAt, found[0], found[1])
			}
		}
	}
	if faults < 100 {
		t.Errorf("only %d faults were tried", faults)
	}
}

func TestCloseMakesDurable(t *testing.T) {
	for seed := range uint64(8) {
		dir := filepath.Join(t.TempDir(), "data")
		d := newDisk(rand.New(rand.NewPCG(seed, 0)))
		l, _, err := open(dir, Options{}, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := firstOf(l.Init(testIdentity, Batch{}), l.Save(Batch{HardState: hard(7, 1, 0)}), l.Close()); err != nil {
			t.Fatal(err)
		}
		d.powerCut(t, dir)
		if _, r := mustOpen(t, dir); r.HardState.GetTerm() != 7 {
			t.Fatalf("got %s, want term 7", describe(r))
		}
	}
}

// firstOf returns the first error. All arguments were evaluated: a poisoned log
// returns its first error again.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// randomBatch makes a batch that may follow on m.
func randomBatch(random *rand.Rand, m *model) Batch {
	var b Batch
	term, vote, commit := m.hard.GetTerm(), m.hard.GetVote(), max(m.hard.GetCommit(), m.base())
	end := m.last()
	if random.IntN(4) == 0 {
		term++
		vote = random.Uint64N(5)
	}
	switch random.IntN(16) {
	case 0: // a snapshot came
		commit = end + 1 + random.Uint64N(5)
		end = commit
		b.Reset, b.Snapshot = true, snapshot(commit, term, randomData(random))
	case 1: // the log is compacted
		if commit > m.base() {
			index := m.base() + 1 + random.Uint64N(commit-m.base())
			b.Snapshot = snapshot(index, term, randomData(random))
		}
	}
	if random.IntN(4) > 0 {
		first := end + 1
		if random.IntN(4) == 0 && !b.Reset {
			first = commit + 1 + random.Uint64N(end-commit+1)
		}
		for i := range uint64(1 + random.IntN(4)) {
			b.Entries = append(b.Entries, entry(first+i, term, randomData(random)))
			end = first + i
		}
	}
	if random.IntN(10) == 0 {
		b.Bound = time.Duration(1 + random.IntN(1000))
	}
	if random.IntN(2) == 0 || b.Reset {
		if random.IntN(2) == 0 {
			commit += random.Uint64N(end - commit + 1)
		}
		b.HardState = hard(term, vote, commit)
	}
	b.Sync = random.IntN(3) == 0
	return b
}

func randomData(random *rand.Rand) string {
	// Some of one sector and more, most far less.
	n := random.IntN(40)
	if random.IntN(10) == 0 {
		n = random.IntN(3000)
	}
	return fmt.Sprintf("%0*d", n, random.Uint32())
}
