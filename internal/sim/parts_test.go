package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

type (
	electionConfig    = election.Config
	electionRecovered = election.Recovered
	electionInstant   = election.Instant
)

const electionNever = election.Never

func TestQueueOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var q queue
	for range 2000 {
		q.push(event{at: r.Int64N(100)})
		if r.IntN(3) == 0 {
			q.pop()
		}
	}
	var last event
	for {
		e, ok := q.pop()
		if !ok {
			break
		}
		if e.at < last.at || e.at == last.at && e.seq < last.seq {
			t.Fatalf("event %d of %d ns follows event %d of %d ns", e.seq, e.at, last.seq, last.at)
		}
		last = e
	}
}

func TestClock(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 1000 {
		c := clock{base: r.Int64N(int64(1000 * time.Hour)), at: r.Int64N(int64(time.Hour)), ppm: r.Int64N(2*maxRate) - maxRate}
		at := c.at + r.Int64N(int64(time.Hour))
		want := c.local(at)
		got := c.trueAt(want)
		if c.local(got) < want || got > c.at && c.local(got-1) >= want {
			t.Fatalf("%+v shows %d first at %d, not at %d", c, want, got, at)
		}
		before := c.local(at)
		c.setRate(at, r.Int64N(2*maxRate)-maxRate)
		if c.local(at) != before {
			t.Fatalf("a change of the rate moved the clock from %d to %d", before, c.local(at))
		}
	}
	c := clock{}
	if c.trueAt(election.Never) != forever {
		t.Error("a clock reaches Never")
	}
}

func entry(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: &index, Term: &term}
}

func TestImage(t *testing.T) {
	var im image
	write := func(ok bool, p *election.Persist) {
		t.Helper()
		if im.write(p) != ok {
			t.Fatalf("write of %+v: want %v", p, ok)
		}
	}
	indexes := func(want ...uint64) {
		t.Helper()
		var got []uint64
		for _, e := range im.ents {
			got = append(got, e.GetIndex()*10+e.GetTerm())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("log %v, want %v", got, want)
		}
	}
	snap := func(i uint64) *raftpb.Snapshot {
		return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &i}}
	}
	write(true, &election.Persist{Snapshot: snap(1), Reset: true})
	write(true, &election.Persist{Entries: []*raftpb.Entry{entry(2, 1), entry(3, 1), entry(4, 1)}})
	indexes(21, 31, 41)
	write(true, &election.Persist{Entries: []*raftpb.Entry{entry(3, 2)}})
	indexes(21, 32)
	write(false, &election.Persist{Entries: []*raftpb.Entry{entry(5, 2)}})
	write(true, &election.Persist{Entries: []*raftpb.Entry{entry(4, 2)}})
	write(true, &election.Persist{Snapshot: snap(3)})
	indexes(42)
	write(true, &election.Persist{Snapshot: snap(9), Reset: true})
	indexes()
	write(true, &election.Persist{Entries: []*raftpb.Entry{entry(10, 3)}})
	indexes(103)
}

// The ledger's rule of the heir and its configurations are written a second
// time; on random rings both must say the same.
func TestLedgerAgreesWithTheRing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		st := &ring.State{}
		g := newLedger()
		member := func(i int) ring.Member {
			return ring.Member{Name: string(rune('a' + i)), Incarnation: 1, Addresses: []string{"x"}, Witness: r.IntN(6) == 0}
		}
		settings := profile("lan")
		m := member(0)
		m.Witness = false
		if _, err := st.Apply(0, ring.Command{Found: &ring.Found{Cluster: "c", RingID: "r", Founder: m, Settings: settings}}); err != nil {
			t.Fatal(err)
		}
		for i := range 1 + r.IntN(8) {
			if _, err := st.Apply(1, ring.Command{Join: &ring.Join{Member: member(i + 1)}}); err != nil {
				t.Fatal(err)
			}
		}
		for term := uint64(1); term < 20; term++ {
			heir, ok := st.Heir()
			if ok && r.IntN(2) == 0 {
				if _, err := st.Apply(term, ring.Command{Declare: &ring.Declare{Term: term, ID: heir.ID}}); err == nil {
					g.Led[heir.Name] = term
				}
			}
			_, _ = st.Apply(term, ring.Command{Appoint: &ring.Appoint{To: r.Uint64N(9)}})
		}
		for _, m := range st.Members {
			g.join(m.ID, m)
		}
		if st.Designated != nil {
			g.Designated = st.Designated.To
		}
		var dead []uint64
		for _, m := range st.Members {
			if r.IntN(3) == 0 {
				dead = append(dead, m.ID)
			}
		}
		want, _ := st.Heir(dead...)
		if got := g.heir(dead); got != want.ID {
			t.Fatalf("without %v the heir of %+v is %d by the ledger, %d by the ring", dead, *st, got, want.ID)
		}
	}
}
