package election

import (
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// A token is the raft term of a leadership. It is above every earlier term that
// this member knows, and at least the Unix time in seconds at which it is
// issued. So tokens rise although all disks were lost, or were restored from an
// older copy together. The wall clock only ever raises a term, and nothing else
// depends on it.
const (
	// MaxTerm is the highest term that can be. A token is shifted by 20 bits for
	// groups, and must then stay below 2^53.
	MaxTerm = ring.TermLimit - 1
	// maxWall is the latest Unix time in seconds that raises a term. A clock
	// that is further ahead is wrong. Half of all terms are left after it.
	maxWall = 1 << 32
)

// wallTerm returns the lowest term that may be issued at a Unix time in
// microseconds.
func wallTerm(at int64) uint64 {
	s := at / int64(time.Second/time.Microsecond)
	if s <= 0 || s > maxWall {
		return 0
	}
	return uint64(s)
}

// liftTerm lets a member that has just become a candidate ask for votes in the
// term of the wall clock, if that is higher. It is too early before that: a
// candidate of the pre-vote must not move anybody's term. The votes of the term
// that is left out never leave (see leftOut), and are never written.
//
// Raft adds one to its own term when it campaigns. So it is shown a heartbeat of
// nobody from the term before the wanted one, which makes it a follower there, also
// if that is the term in which it asks for votes. Then it is told to campaign at once.
func (n *Node) liftTerm() {
	want := wallTerm(n.cfg.Wall())
	if n.lifting || n.role != raft.StateCandidate || n.term >= want {
		return
	}
	n.lifting = true
	defer func() { n.lifting = false }()
	n.trace("asks for votes in term %d instead of %d, by the wall clock", want, n.term)
	if !n.forced {
		n.plainVotes = want
	}
	below := want - 1
	for _, m := range []*raftpb.Message{
		{Type: raftpb.MsgHeartbeat.Enum(), To: new(n.cfg.ID), Term: new(below)},
		{Type: raftpb.MsgTimeoutNow.Enum(), From: new(n.cfg.ID), To: new(n.cfg.ID), Term: new(below)},
	} {
		if err := n.rn.Step(m); err != nil {
			n.trace("term %d is not reached: %v", want, err)
		}
	}
	n.refresh()
}

// leftOut reports whether a vote that raft wants to ask for is of a term that
// liftTerm left out. It takes the mark of a transfer from the others: raft puts
// it on every vote after MsgTimeoutNow, and it would let voters forget a leader
// that they hear.
func (n *Node) leftOut(m *raftpb.Message) bool {
	if m.GetType() != raftpb.MsgVote {
		return false
	}
	if m.GetTerm() == n.plainVotes {
		m.Context = nil
	}
	return m.GetTerm() < n.term
}
