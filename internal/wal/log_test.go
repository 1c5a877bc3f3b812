package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSaveAndReopen(t *testing.T) {
	start := Batch{Snapshot: snapshot(1, 9, "founded"), HardState: hard(9, 0, 1)}
	for _, tt := range []struct {
		name    string
		batches []Batch
	}{
		{"nothing more", nil},
		{"empty batch", []Batch{{}, {Sync: true}}},
		{"entries", []Batch{{Entries: entries(2, 10, 3), HardState: hard(10, 1, 2), Sync: true}}},
		{"entries in two batches", []Batch{{Entries: entries(2, 10, 3)}, {Entries: entries(5, 10, 2), Sync: true}}},
		{"overwrite the end", []Batch{{Entries: entries(2, 10, 5)}, {Entries: entries(4, 11, 1), HardState: hard(11, 2, 4)}}},
		{"overwrite all", []Batch{{Entries: entries(2, 10, 5)}, {Entries: entries(2, 11, 1)}}},
		{"hard state only", []Batch{{HardState: hard(12, 3, 1), Sync: true}}},
		{"bound only", []Batch{{Bound: time.Second}, {Bound: 50 * time.Millisecond, Sync: true}}},
		{"snapshot keeps later entries", []Batch{
			{Entries: entries(2, 10, 8), HardState: hard(10, 1, 7), Bound: 7},
			{Snapshot: snapshot(5, 10, "at five")},
		}},
		{"snapshot and entries together", []Batch{
			{Entries: entries(2, 10, 8), HardState: hard(10, 1, 7)},
			{Snapshot: snapshot(5, 10, "at five"), Entries: entries(9, 11, 4), HardState: hard(11, 1, 9)},
		}},
		{"snapshot with entries that it covers", []Batch{
			{Entries: entries(2, 10, 8), HardState: hard(10, 1, 7)},
			{Snapshot: snapshot(7, 10, "at seven"), Entries: entries(6, 10, 4)},
		}},
		{"snapshot of the end", []Batch{{Entries: entries(2, 10, 8)}, {Snapshot: snapshot(9, 10, "all")}}},
		{"received snapshot", []Batch{
			{Entries: entries(2, 10, 8)},
			{Snapshot: snapshot(100, 12, "sent"), Reset: true, HardState: hard(12, 0, 100), Sync: true},
			{Entries: entries(101, 12, 2)},
		}},
		{"received snapshot inside the log", []Batch{
			{Entries: entries(2, 10, 8)},
			{Snapshot: snapshot(5, 11, "sent"), Reset: true, HardState: hard(11, 0, 5)},
		}},
		{"reset alone", []Batch{{Entries: entries(2, 10, 8)}, {Reset: true}, {Entries: entries(2, 11, 1)}}},
		{"entry without data", []Batch{{Entries: entries(2, 10, 1)}, {Entries: entriesWithout(3)}}},
		{"large entry", []Batch{{Entries: entries(2, 10, 1)}, {Sync: true,
			Entries: append(entries(3, 10, 1), entry(4, 10, strings.Repeat("x", reserveStep*3)))}}},
		{"base in several records", []Batch{
			{Entries: append(entries(2, 10, 1), entry(3, 10, strings.Repeat("y", baseChunk)), entry(4, 10, strings.Repeat("z", baseChunk)))},
			{Snapshot: snapshot(2, 10, "two"), HardState: hard(10, 1, 4)},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			l := mustInit(t, dir, start)
			var m model
			m.save(start)
			check := func(how string) {
				t.Helper()
				var r Recovered
				if l, r = mustOpen(t, dir); describe(r) != m.String() {
					t.Fatalf("after %s: got  %.500s\nwant %.500s", how, describe(r), m.String())
				}
				if r.Identity != testIdentity || r.Fresh {
					t.Fatalf("after %s: identity %+v, fresh %t", how, r.Identity, r.Fresh)
				}
			}
			for i, b := range tt.batches {
				mustSave(t, l, b)
				m.save(b)
				if i%2 == 0 {
					abandon(l)
					check("a kill")
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			check("a close")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			check("a second close")
			onlySegment(t, dir)
		})
	}
}

func TestInvalidBatchChangesNothing(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{Snapshot: snapshot(5, 9, "s"), HardState: hard(9, 0, 6), Entries: entries(6, 9, 3)})
	path := onlySegment(t, dir)
	before := readFile(t, path)
	for name, b := range map[string]Batch{
		"gap":                       {Entries: entries(10, 9, 1)},
		"gap inside":                {Entries: append(entries(9, 9, 1), entry(11, 9, ""))},
		"nil entry":                 {Entries: append(entries(9, 9, 1), nil)},
		"index 0":                   {Entries: entries(0, 9, 1)},
		"under the snapshot":        {Entries: entries(5, 9, 2)},
		"gap after reset":           {Reset: true, HardState: hard(9, 0, 5), Entries: entries(7, 9, 1)},
		"commit beyond the end":     {HardState: hard(9, 0, 9)},
		"commit beyond the new end": {HardState: hard(9, 0, 8), Entries: entries(7, 9, 1)},
		"committed entries dropped": {Reset: true},
		"term falls":                {HardState: hard(8, 0, 6)},
		"snapshot falls":            {Snapshot: snapshot(4, 9, "")},
		"snapshot at 0":             {Snapshot: snapshot(0, 9, "")},
		"bound below 0":             {Bound: -1},
		"huge entry":                {Entries: []*entryT{entry(9, 9, strings.Repeat("x", maxPayload/4+1))}},
		"huge batch":                {Entries: huge(9, 5)},
		"huge snapshot":             {Snapshot: snapshot(7, 9, strings.Repeat("x", maxPayload/2+1))},
	} {
		if err := l.Save(b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got error %v, want %v", name, err, ErrInvalid)
		}
		if !bytes.Equal(readFile(t, path), before) {
			t.Fatalf("%s: the file has changed", name)
		}
	}
	mustSave(t, l, Batch{Entries: entries(9, 9, 1), Sync: true})
}

func TestSnapshotKeptBatchOfAnySize(t *testing.T) {
	// More than fits into one record, which a base is split for.
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{Entries: huge(1, 4)})
	for i := range 2 {
		mustSave(t, l, Batch{Entries: huge(uint64(5+i), 1)})
	}
	mustSave(t, l, Batch{Snapshot: snapshot(1, 9, "one")})
	abandon(l)
	_, r := mustOpen(t, dir)
	if n := len(r.Entries); n != 5 || r.Entries[4].GetIndex() != 6 {
		t.Fatalf("got %d entries, want 2 to 6", n)
	}
}

func TestFreshInitWipe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	l, r := mustOpen(t, dir)
	if !r.Fresh || r.HardState != nil || r.Snapshot != nil || r.Entries != nil || r.Identity != (Identity{}) {
		t.Fatalf("a new directory is not fresh: %+v", r)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, error %v, want 0700", info.Mode(), err)
	}
	if err := l.Save(Batch{Bound: 1}); !errors.Is(err, ErrFresh) {
		t.Fatalf("save before init: %v", err)
	}
	if err := l.Wipe(); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		id := testIdentity
		id.ID += i
		if err := l.Init(id, Batch{HardState: hard(5+i, 0, 0)}); err != nil {
			t.Fatal(err)
		}
		if err := l.Init(id, Batch{}); !errors.Is(err, ErrNotFresh) {
			t.Fatalf("second init: %v", err)
		}
		mustSave(t, l, Batch{Entries: entries(1, 5+i, 2), Sync: true})
		abandon(l)
		if l, r = mustOpen(t, dir); r.Identity != id || len(r.Entries) != 2 {
			t.Fatalf("got %+v", r)
		}
		if err := l.Wipe(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
			t.Fatalf("wipe gave the lock away: %v", err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(Batch{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("save after close: %v", err)
	}
	if err := l.Init(testIdentity, Batch{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("init after close: %v", err)
	}
	if _, r := mustOpen(t, dir); !r.Fresh {
		t.Fatal("not fresh after wipe")
	}
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Cluster: "prod"}, {Name: "n2"}, {Cluster: "lab", Name: "n2"}, {Cluster: "prod", Name: "n1"}} {
		_, _, err := Open(dir, o)
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), `node "n1" (id 3) of cluster "lab"`) || !strings.Contains(err.Error(), "--name n1 and --cluster lab") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	l, _, err := Open(dir, Options{Cluster: "lab", Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Wipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.Init(Identity{Cluster: "lab", Name: "n2"}, Batch{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("init for another node: %v", err)
	}
}

func TestLeftoversAreTidied(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{HardState: hard(1, 0, 0)})
	old := readFile(t, onlySegment(t, dir))
	mustSave(t, l, Batch{HardState: hard(2, 0, 0), Reset: true})
	abandon(l)
	// As if the process had died before it removed the old one, and then
	// within the next one.
	writeFile(t, filepath.Join(dir, segmentName(1)), old)
	writeFile(t, filepath.Join(dir, segmentName(3)+tempSuffix), old[:40])
	writeFile(t, filepath.Join(dir, "notes.txt"), []byte("not ours"))
	_, r := mustOpen(t, dir)
	if r.HardState.GetTerm() != 2 {
		t.Fatalf("got %s, want that of the newest segment", describe(r))
	}
	onlySegment(t, dir)
	if string(readFile(t, filepath.Join(dir, "notes.txt"))) != "not ours" {
		t.Fatal("a foreign file was touched")
	}
}

func TestUnfinishedInitIsFresh(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, segmentName(1)+tempSuffix), []byte("half"))
	l, r := mustOpen(t, dir)
	if !r.Fresh {
		t.Fatal("not fresh")
	}
	if err := l.Init(testIdentity, Batch{}); err != nil {
		t.Fatal(err)
	}
	onlySegment(t, dir)
}

func TestGrowsWithoutSnapshotsAndCompactsItself(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{})
	big := strings.Repeat("x", 16<<10)
	var most int64
	for term := range uint64(1200) { // 19 MiB, all but the last overwritten
		mustSave(t, l, Batch{HardState: hard(term+1, 0, 0), Entries: entriesOf(1, term+1, big)})
		most = max(most, dirSize(t, dir))
	}
	if limit := int64(compactMin + reserveStep + 1<<10); most > limit {
		t.Errorf("the directory grew to %d bytes, want at most %d", most, limit)
	}
	// What is alive must stay, however much it is.
	for i := range uint64(600) {
		mustSave(t, l, Batch{Entries: entriesOf(2+i, 1200, big)})
	}
	abandon(l)
	_, r := mustOpen(t, dir)
	if len(r.Entries) != 601 || r.HardState.GetTerm() != 1200 {
		t.Fatalf("got %d entries, term %d, want 601, 1200", len(r.Entries), r.HardState.GetTerm())
	}
}

func TestRecoveredIsTheCallersOwn(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{Entries: entries(1, 1, 3)})
	abandon(l)
	l, r := mustOpen(t, dir)
	clear(r.Entries)
	mustSave(t, l, Batch{Snapshot: snapshot(1, 1, "s")})
	abandon(l)
	if _, r = mustOpen(t, dir); len(r.Entries) != 2 {
		t.Fatalf("got %s", describe(r))
	}
}

func entriesOf(index, term uint64, data string) []*entryT {
	return []*entryT{entry(index, term, data)}
}

func entriesWithout(index uint64) []*entryT {
	return []*entryT{{Index: &index, Term: &index}}
}

func huge(first uint64, n int) []*entryT {
	data := string(make([]byte, maxPayload/4-1<<10))
	var es []*entryT
	for i := range n {
		es = append(es, entry(first+uint64(i), 9, data))
	}
	return es
}

func ExampleLog() {
	dir, err := os.MkdirTemp("", "wal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, r, err := Open(dir, Options{Cluster: "lab", Name: "n1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if r.Fresh {
		err = l.Init(Identity{Cluster: "lab", RingID: "7f3a", Name: "n1", ID: 1}, Batch{HardState: hard(1, 0, 0)})
	}
	err = errors.Join(err, l.Save(Batch{HardState: hard(2, 1, 1), Entries: entries(1, 2, 1), Sync: true}), l.Close())
	fmt.Println(err)
	// Output: <nil>
}
