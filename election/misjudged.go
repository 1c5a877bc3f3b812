package election

import (
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
func (i *identity) meet(r ProbeResult) {
	m, ok := i.ring.Member(r.Of.ID)
	// A probe that is no question may have gone elsewhere too.
	if ok && r.Of.Recorded && r.Outcome == Answered && r.AnsweredBy == i.holder(m) && len(r.Of.Addresses) > 0 {
		i.roster.peers.Ensure(r.Of.ID).met = meeting{r.AnsweredBy, r.Of.Addresses}
	}
}

// rely takes down whose word it was if something is done on a message. A wish for
// votes that are not given yet binds nobody, nor does news of other members.
func (i *identity) rely(m Message) {
	if m.Incarnation != 0 && (m.Renew != nil || m.RenewAck != nil || m.Release != nil || m.Check != nil || m.Takeover != nil ||
		m.Raft != nil && m.Raft.GetType() != raftpb.MsgPreVote) {
		i.roster.peers.Ensure(m.From).relied = m.Incarnation
	}
}

// misjudged reports whether a process speaks that was taken for dead without a
// certificate, and could count again. The ring has recorded it, and nothing was done
// on the word of one that came after it. Or this member of a pair was restarted: it
// may have taken that process back before, and has forgotten so.
func (i *identity) misjudged(m ring.Member, incarnation uint64) bool {
	p := i.roster.peers.Value(m.ID)
	if e := p.ended.Get(incarnation); e == nil || e.certified || incarnation == i.holder(m) {
		return false
	}
	return p.holder == 0 && i.everyMajorityNeedsMe() ||
		incarnation == m.Incarnation && (p.relied == 0 || p.relied == incarnation) && !i.replacedInLog(m.ID, incarnation)
}
