package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// follower is one of three, alone with a disk that is done when the test says,
// and with what the test sends it.
type follower struct {
	t    *testing.T
	n    *election.Node
	now  election.Instant
	last uint64 // the log's newest entry
	term uint64
	inc  map[uint64]uint64
	pers []uint64 // Persists under way
}

func newFollower(t *testing.T) *follower {
	w := newWorld()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w.form(t, s, 200*time.Millisecond, "a", "b", "c")
	b := w.nodes["b"]
	e := b.disk.entries
	return &follower{t: t, n: b.n, now: w.now, last: e[len(e)-1].GetIndex(), term: e[len(e)-1].GetTerm(),
		inc: map[uint64]uint64{1: w.nodes["a"].inc, 3: w.nodes["c"].inc}}
}

// append sends entries that change max_voters, one each, and the commit index.
func (f *follower) append(from, term, after, afterTerm, commit uint64, voters ...uint32) []election.Effect {
	m := &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(from), To: new(uint64(2)), Term: new(term),
		Index: new(after), LogTerm: new(afterTerm), Commit: new(commit)}
	for i, v := range voters {
		s := f.n.State().Settings
		s.MaxVoters = v
		m.Entries = append(m.Entries, &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Term: new(term), Index: new(after + 1 + uint64(i)),
			Data: ring.Command{Settings: &s}.Encode()})
	}
	f.n.Receive(f.now, election.Message{From: from, To: 2, Incarnation: f.inc[from], Raft: m})
	return f.effects()
}

func (f *follower) effects() []election.Effect {
	effects := f.n.Effects()
	for _, e := range effects {
		if p, ok := e.(election.Persist); ok {
			f.pers = append(f.pers, p.Seq)
		}
	}
	return effects
}

// sync lets the disk catch up.
func (f *follower) sync() (effects []election.Effect) {
	for len(f.pers) > 0 {
		seq := f.pers[0]
		f.pers = f.pers[1:]
		f.n.Persisted(f.now, seq)
		effects = append(effects, f.effects()...)
	}
	return effects
}

func (f *follower) want(when string, voters uint32) {
	f.t.Helper()
	if got := f.n.State().Settings.MaxVoters; got != voters {
		f.t.Errorf("%s: max_voters %d, want %d", when, got, voters)
	}
}

func count[E election.Effect](effects []election.Effect) (n int) {
	for _, e := range effects {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}

func acks(effects []election.Effect) (n int) {
	for _, e := range effects {
		if s, ok := e.(election.Send); ok && s.Message.Raft.GetType() == raftpb.MsgAppResp && !s.Message.Raft.GetReject() {
			n++
		}
	}
	return n
}

// What is committed is applied although the own disk is slow; it is acked only
// when it is durable.
func TestACommittedEntryDoesNotWaitForTheDisk(t *testing.T) {
	f := newFollower(t)
	f.n.Effects()
	before := f.n.State().Settings.MaxVoters
	effects := f.append(1, f.term, f.last, f.term, f.last, 9, 11)
	f.want("appended", before)
	if acks(effects) != 0 {
		t.Error("acked before it is durable")
	}
	effects = f.append(1, f.term, f.last+2, f.term, f.last+1)
	f.want("the first is committed", 9)
	if got := count[election.Applied](effects); got != 1 || acks(effects) != 0 {
		t.Errorf("%d applied, %d acks before the disk is done; want 1 and none", got, acks(effects))
	}
	effects = f.sync()
	f.want("durable", 9)
	if got := count[election.Applied](effects); got != 0 || acks(effects) == 0 {
		t.Errorf("%d applied again, %d acks; want none, and some", got, acks(effects))
	}
	effects = f.append(1, f.term, f.last+2, f.term, f.last+2)
	f.want("the second is committed", 11)
	if got := count[election.Applied](effects); got != 1 {
		t.Errorf("%d applied, want 1", got)
	}
}

// An entry that a later leader replaces while it is on its way to the disk is
// not what is committed in its place.
func TestAReplacedEntryIsNotAppliedAhead(t *testing.T) {
	f := newFollower(t)
	f.n.Effects()
	f.append(1, f.term, f.last, f.term, f.last, 9)
	f.append(3, f.term+1, f.last, f.term, f.last+1, 11)
	f.want("replaced", 11)
	f.sync()
	f.want("durable", 11)
}
