package sim

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// foundFormed starts a ring that all machines are members of, none of which
// ever led: to let a thousand join one by one takes longer than all that one
// may want to see of them.
func (s *Sim) foundFormed() error {
	g := &s.ledger
	st := &ring.State{}
	var f ring.Found
	for i, n := range s.nodes {
		s.draw(n)
		id := uint64(i) + 1
		m := ring.Member{Name: n.name, Incarnation: n.inc, Addresses: n.place.Told, Witness: n.witness}
		if i == 0 {
			f = ring.Found{Cluster: "sim", RingID: "r1", Founder: m, Settings: s.world.Settings}
			if _, err := st.Apply(0, ring.Command{Found: &f}); err != nil {
				return fmt.Errorf("found: %w", err)
			}
		} else if _, err := st.Apply(1, ring.Command{Join: &ring.Join{Member: m}}); err != nil {
			return fmt.Errorf("join %s: %w", n.name, err)
		}
		g.join(id, m)
		s.learnID(id, i)
	}
	rec, err := election.Found(f, 1_760_000_000_000_000)
	if err != nil {
		return fmt.Errorf("found: %w", err)
	}
	rec.Snapshot.Data = st.Snapshot()
	rec.Snapshot.GetMetadata().Index = &st.Epoch // each change was an entry
	rec.HardState.Commit = &st.Epoch
	// The learners come in by the first leader's change: raft takes a time that
	// grows with the square of their number to restore them at each start.
	conf := rec.Snapshot.GetMetadata().GetConfState()
	conf.Voters = slices.Sorted(slices.Values(st.Voters()))
	g.highest, g.epoch = uint64(len(s.nodes)), st.Epoch
	g.voters = conf.GetVoters()
	g.confs = []confMark{{st.Epoch, g.voters, nil}}
	g.setSettings(0, s.world.Settings)
	g.base, g.founded, g.byEpoch = st.Epoch, st.Epoch, make([]epochMark, st.Epoch+1)
	g.byEpoch[st.Epoch] = g.epochMark()
	for i, n := range s.nodes {
		n.disk.durable = image{id: uint64(i) + 1, former: []uint64{n.inc}, hs: rec.HardState, snap: rec.Snapshot, first: st.Epoch + 1}
		n.up, n.gen = true, 1
		s.monitorStart(n)
		own := rec
		own.Snapshot = proto.Clone(rec.Snapshot).(*raftpb.Snapshot)
		s.makeCore(n, uint64(i)+1, own)
	}
	return nil
}

// Traffic is what a machine sent and received from Options.CountFrom on:
// messages of members, probes, and answers.
type Traffic struct {
	Node           string
	Sent, Received int
	Voter          bool
}

// Event is something that the whole ring did.
type Event struct {
	At   time.Duration
	Node string
	Term uint64
}

func (s *Sim) traffic(res *Result) {
	for _, n := range s.nodes {
		res.Traffic = append(res.Traffic, Traffic{n.name, n.sent, n.received, slices.Contains(s.ledger.voters, n.id)})
	}
	res.Known, res.Evicted = s.known, s.evictions
}
