package wal

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var commands = flag.Int("commands", 100_000, "how many commands TestManyCommandsStaySmall saves; try 1000000")

// TestManyCommandsStaySmall does what a member does over years: each command
// comes as an entry, its commit follows, and the core takes a snapshot every
// 4096 entries. The directory is measured whenever a segment is about to go,
// when there are two.
func TestManyCommandsStaySmall(t *testing.T) {
	const limit = 16 << 20
	dir := t.TempDir()
	var most int64
	segments := 0
	sys := &faulty{onRemove: func() error { most, segments = max(most, dirSize(t, dir)), segments+1; return nil }}
	l := mustOpenOn(t, dir, sys, Options{})
	if err := l.Init(testIdentity, Batch{Snapshot: snapshot(1, 1, "founded"), HardState: hard(1, 1, 1)}); err != nil {
		t.Fatal(err)
	}
	data := strings.Repeat("a command of the usual size, ", 8)
	ringState := strings.Repeat("what a ring of a thousand members looks like ", 8<<10) // 360 KiB
	last := uint64(1)
	for range *commands {
		last++
		mustSave(t, l, Batch{Entries: entriesOf(last, 1, data), HardState: hard(1, 1, last-1)})
		mustSave(t, l, Batch{HardState: hard(1, 1, last)})
		if last%4096 == 0 {
			mustSave(t, l, Batch{Snapshot: snapshot(last-100, 1, ringState)})
		}
	}
	if most == 0 || most > limit {
		t.Errorf("the directory had up to %d bytes, want at most %d", most, limit)
	}
	t.Logf("%d commands: at most %d KiB in %d segments", *commands, most>>10, segments)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, r := mustOpen(t, dir)
	if r.HardState.GetCommit() != last || r.Entries[len(r.Entries)-1].GetIndex() != last {
		t.Fatalf("got commit %d, last entry %v, want %d", r.HardState.GetCommit(), r.Entries[len(r.Entries)-1], last)
	}
}

func TestSaveAllocatesNothing(t *testing.T) {
	l := mustInit(t, t.TempDir(), Batch{})
	mustSave(t, l, Batch{Entries: entriesOf(1, 1, strings.Repeat("x", 1000))}) // makes the buffer
	h, es := hard(1, 1, 1), entries(1, 1, 1)
	if n := testing.AllocsPerRun(200, func() { mustSave(t, l, Batch{HardState: h, Entries: es}) }); n > 0 {
		t.Errorf("%v allocations for a batch, want none", n)
	}
}

// counting counts the calls on the way of a Save.
type counting struct {
	linux
	// marks are writes of the file that remembers the end.
	writes, syncs, marks int
}

func (c *counting) write(f *os.File, p []byte, off int64) error {
	if filepath.Base(f.Name()) == endName {
		c.marks++
	} else {
		c.writes++
	}
	return c.linux.write(f, p, off)
}

func (c *counting) datasync(f *os.File) error {
	c.syncs++
	return c.linux.datasync(f)
}

func TestSaveIsOneWriteAndOneSync(t *testing.T) {
	sys := &counting{}
	l := mustOpenOn(t, t.TempDir(), sys, Options{})
	if err := l.Init(testIdentity, Batch{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		batch         Batch
		writes, syncs int
	}{
		{"all at once", Batch{HardState: hard(2, 1, 1), Entries: entries(1, 2, 9), Bound: 5, Sync: true}, 1, 1},
		{"no sync", Batch{HardState: hard(2, 1, 2)}, 1, 0},
		{"sync of what is written", Batch{Sync: true}, 0, 1},
		{"sync of nothing", Batch{Sync: true}, 0, 0},
		{"nothing", Batch{}, 0, 0},
	} {
		sys.writes, sys.syncs, sys.marks = 0, 0, 0
		mustSave(t, l, tt.batch)
		if sys.marks != 0 {
			t.Errorf("%s: the end was marked while somebody waited for the save", tt.name)
		}
		must(t, l.Mark())
		must(t, l.Mark())
		if sys.marks != tt.syncs {
			t.Errorf("%s: the end was marked %d times, want once if something was synced", tt.name, sys.marks)
		}
		if sys.writes != tt.writes || sys.syncs != tt.syncs {
			t.Errorf("%s: %d writes, %d syncs, want %d, %d", tt.name, sys.writes, sys.syncs, tt.writes, tt.syncs)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	for name, root := range map[string]string{"disk": os.TempDir(), "tmpfs": "/dev/shm"} {
		for _, sync := range []bool{true, false} {
			mode := map[bool]string{true: "sync", false: "write"}[sync]
			b.Run(name+"/"+mode, func(b *testing.B) {
				dir, err := os.MkdirTemp(root, "wal-bench")
				if err != nil {
					b.Skipf("needs a directory in %s: %v", root, err)
				}
				b.Cleanup(func() { _ = os.RemoveAll(dir) })
				l := mustInit(b, filepath.Join(dir, "data"), Batch{})
				batch := Batch{HardState: hard(1, 1, 0), Entries: entriesOf(1, 1, strings.Repeat("x", 150)), Sync: sync}
				b.ReportAllocs()
				for b.Loop() {
					if err := l.Save(batch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSnapshot is what the path of commands waits for every 4096 entries.
func BenchmarkSnapshot(b *testing.B) {
	l := mustInit(b, b.TempDir(), Batch{})
	state := strings.Repeat("x", 64<<10)
	es := entries(1, 1, 512)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Save(Batch{Reset: true, Entries: es, Snapshot: snapshot(1, 1, state)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen reads a log of 4096 entries.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l := mustInit(b, dir, Batch{})
	for i := range uint64(4096) {
		mustSave(b, l, Batch{HardState: hard(1, 1, i), Entries: entriesOf(i+1, 1, strings.Repeat("x", 150))})
	}
	for b.Loop() {
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if l, _, err = Open(dir, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	_ = l.Close()
}
