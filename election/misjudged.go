package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// meeting is that a process answered at these addresses.
type meeting struct {
	incarnation uint64
	addresses   []string
}

// meet takes down where the holder of a member answered. It is known from that
// where it listens, also if it has not said so.
func (n *Node) meet(r ProbeResult) {
	m, ok := n.ring.Member(r.ID)
	// A probe that is no question may have gone elsewhere too.
	if ok && r.Recorded && r.Outcome == Answered && r.AnsweredBy == n.holder(m) && len(r.Addresses) > 0 {
		n.peers.Ensure(r.ID).met = meeting{r.AnsweredBy, r.Addresses}
	}
}

// rely takes down whose word it was if something is done on a message. A wish for
// votes that are not given yet binds nobody, nor does news of other members.
func (n *Node) rely(m Message) {
	if m.Incarnation != 0 && (m.Renew != nil || m.RenewAck != nil || m.Release != nil || m.Check != nil || m.Takeover != nil ||
		m.Raft != nil && m.Raft.GetType() != raftpb.MsgPreVote) {
		n.peers.Ensure(m.From).relied = m.Incarnation
	}
}

// misjudged reports whether a process speaks that was taken for dead without a
// certificate, and could count again. The ring has recorded it, and nothing was done
// on the word of one that came after it. Or this member of a pair was restarted: it
// may have taken that process back before, and has forgotten so.
func (n *Node) misjudged(m ring.Member, incarnation uint64) bool {
	p := n.peers.Value(m.ID)
	e := p.ending(incarnation)
	if e == (ending{}) || e.certified || incarnation == n.holder(m) {
		return false
	}
	if p.holder == 0 && n.everyMajorityNeedsMe() {
		return true
	}
	return incarnation == m.Incarnation && (p.relied == 0 || p.relied == incarnation) && !n.replacedInLog(m.ID, incarnation)
}

// takeBack lets a process count again that was taken for dead and has answered.
func (n *Node) takeBack(m ring.Member, incarnation uint64) {
	p := n.peers.Ensure(m.ID)
	p.ended = slices.DeleteFunc(p.ended, func(e ending) bool { return e.incarnation == incarnation })
	n.takeOver(m, incarnation)
}
