package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/raft/v3/raftpb"
)

type entryT = raftpb.Entry

var testIdentity = Identity{Cluster: "lab", RingID: "7f3a", Name: "n1", ID: 3}

func entry(index, term uint64, data string) *raftpb.Entry {
	return &raftpb.Entry{Index: &index, Term: &term, Type: raftpb.EntryNormal.Enum(), Data: []byte(data)}
}

func entries(first, term uint64, n int) []*raftpb.Entry {
	var es []*raftpb.Entry
	for i := range uint64(n) {
		es = append(es, entry(first+i, term, fmt.Sprintf("command %d of term %d", first+i, term)))
	}
	return es
}

func hard(term, vote, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

func snapshot(index, term uint64, data string) *raftpb.Snapshot {
	return &raftpb.Snapshot{Data: []byte(data), Metadata: &raftpb.SnapshotMetadata{
		Index: &index, Term: &term, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{9}},
	}}
}

// describe prints what is recovered, to be compared.
func describe(r Recovered) string {
	var b bytes.Buffer
	if h := r.HardState; h != nil {
		fmt.Fprintf(&b, "hard %d/%d/%d ", h.GetTerm(), h.GetVote(), h.GetCommit())
	}
	if s := r.Snapshot; s != nil {
		fmt.Fprintf(&b, "snapshot %d/%d %v %q ", s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm(),
			s.GetMetadata().GetConfState().GetVoters(), s.GetData())
	}
	fmt.Fprintf(&b, "bound %s entries", r.Bound)
	for _, e := range r.Entries {
		fmt.Fprintf(&b, " %d/%d/%q", e.GetIndex(), e.GetTerm(), e.GetData())
	}
	return b.String()
}

func mustOpen(t testing.TB, dir string) (*Log, Recovered) {
	t.Helper()
	l, r, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, r
}

func mustInit(t testing.TB, dir string, b Batch) *Log {
	t.Helper()
	l, r := mustOpen(t, dir)
	if !r.Fresh {
		t.Fatalf("directory is not fresh: %s", describe(r))
	}
	if err := l.Init(testIdentity, b); err != nil {
		t.Fatal(err)
	}
	return l
}

func mustSave(t testing.TB, l *Log, b Batch) {
	t.Helper()
	if err := l.Save(b); err != nil {
		t.Fatal(err)
	}
}

// abandon leaves the directory as a killed process does.
func abandon(l *Log) {
	l.closed = true
	l.release()
}

func onlySegment(t testing.TB, dir string) string {
	t.Helper()
	numbers, temps, err := segments(dir)
	if err != nil || len(numbers) != 1 || len(temps) != 0 {
		t.Fatalf("want one segment, got %v, unfinished %v, error %v", numbers, temps, err)
	}
	return filepath.Join(dir, segmentName(numbers[0]))
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// dirSize is the space that the files in dir show, the lock left out.
func dirSize(t testing.TB, dir string) int64 {
	t.Helper()
	var sum int64
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// warnings collects what is logged at Warn or above.
func warnings(b *bytes.Buffer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: b, Level: hclog.Warn, TimeFn: func() time.Time { return time.Time{} }})
}

// recordOffsets lists where the records of a segment begin, and where the
// last one ends.
func recordOffsets(t testing.TB, data []byte) []int64 {
	t.Helper()
	h, n, err := decodeHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	offsets := []int64{int64(n)}
	for number := uint64(1); ; number++ {
		off := offsets[len(offsets)-1]
		rh, _, err := decodeRecord(data[off:], h.salt, number)
		if err != nil {
			return offsets
		}
		offsets = append(offsets, off+recordHeaderSize+int64(rh.Length))
	}
}

// model is the storage's meaning, said as simply as possible.
type model struct {
	hard     *raftpb.HardState
	snapshot *raftpb.Snapshot
	entries  []*raftpb.Entry
	bound    time.Duration
}

func (m *model) base() uint64 { return m.snapshot.GetMetadata().GetIndex() }

func (m *model) last() uint64 {
	last := m.base()
	for _, e := range m.entries {
		last = max(last, e.GetIndex())
	}
	return last
}

func (m *model) save(b Batch) {
	var kept []*raftpb.Entry
	if b.Snapshot != nil {
		m.snapshot = b.Snapshot
	}
	for _, e := range m.entries {
		overwritten := len(b.Entries) > 0 && e.GetIndex() >= b.Entries[0].GetIndex()
		if !b.Reset && !overwritten {
			kept = append(kept, e)
		}
	}
	kept = append(kept, b.Entries...)
	m.entries = slices.DeleteFunc(kept, func(e *raftpb.Entry) bool { return e.GetIndex() <= m.base() })
	if b.HardState != nil {
		m.hard = b.HardState
	}
	if b.Bound != 0 {
		m.bound = b.Bound
	}
}

func (m *model) String() string {
	r := Recovered{Snapshot: m.snapshot, Entries: m.entries, Bound: m.bound}
	if m.hard != nil {
		r.HardState = hard(m.hard.GetTerm(), m.hard.GetVote(), max(m.hard.GetCommit(), m.base()))
	}
	return describe(r)
}
