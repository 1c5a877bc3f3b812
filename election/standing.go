package election

import (
	"fmt"
	"slices"
	"time"
)

const (
	// inquireEvery is the time between two inquiries of a member that is out of
	// touch, and how long it waits before the first.
	inquireEvery = 3 * time.Second
	// inquireAgain is the least time between two inquiries about one notice.
	inquireAgain = 500 * time.Millisecond
)

// unbornPatience is how long the members of a ring that was founded wait for its
// first leader before they look for another ring.
const unbornPatience = 20 * time.Second

// unborn reports whether the ring never had a leader, as far as is known here.
// What another leader appended to this member's log may have been committed,
// although no word of that came through. What this process appended as a leader
// was not, or it would know, and nobody else counts its copy.
func (n *Node) unborn() bool {
	if n.ring.RingID == "" {
		return n.cfg.Unborn
	}
	if n.ring.Epoch != n.ring.HighestID || n.ring.Term != 0 || n.lead != nil {
		return false
	}
	last, err := n.store.LastIndex()
	if err != nil || last == n.applied {
		return err == nil
	}
	first, err := n.store.Term(n.applied + 1)
	newest, errNewest := n.store.Term(last)
	return err == nil && errNewest == nil && n.wonTerm != 0 && first == n.wonTerm && newest == n.wonTerm
}

// Inquire asks the owner to find out what others say of this member: the
// members that it knows, and others that may be in its ring. Each answer comes
// back through Answered.
type Inquire struct{}

// Awaited is true: this member may be none any more.
func (Inquire) Awaited() bool { return true }

// Standing is one member's answer to the question whether another one is in
// its ring.
type Standing struct {
	RingID string
	// From is the member that answers, Epoch the newest that it knows.
	From, Epoch uint64
	// Member: the asker is in that ring. Out: it was, and is no longer. Neither:
	// the one who answers does not know.
	Member, Out bool
	// Incarnation is the asker's process that the ring has recorded, if it is a
	// member, and Addresses where that one listens.
	Incarnation uint64
	Addresses   []string
	// Needed: the asker is out, but its log or its answers may still be needed.
	Needed bool
	// InTouch: the one who answers leads, or has heard a declared leader, other
	// than the asker, within a lease. Without that, its opinion that the asker is
	// a member may be old.
	InTouch bool
	// Leader is that leader, and LeaderIncarnation its process that the ring has
	// recorded, at LeaderAddresses. Out of touch they are the one who answers, if
	// the ring has recorded it; else 0.
	Leader, LeaderIncarnation uint64
	LeaderAddresses           []string
	// Voters are those of raft's configuration that the one who answers knows.
	Voters []uint64
}

// Standing answers another member's question whether it still is one.
func (n *Node) Standing(now Instant, id uint64) Standing {
	asker, member := n.ring.Member(id)
	s := Standing{
		RingID: n.ring.RingID, From: n.cfg.ID, Epoch: n.ring.Epoch, Member: member, Voters: slices.Clone(n.conf.GetVoters()),
		Incarnation: asker.Incarnation, Addresses: slices.Clone(asker.Addresses),
	}
	if n.removed {
		return s
	}
	s.Out = n.ring.Gone(id)
	s.Needed = s.Out && n.needed(id)
	_, _, claims := n.Claim(now)
	s.InTouch = claims || n.lead == nil && n.raftLead != 0 && n.raftLead == n.ring.LeaderID && n.raftLead != id && now < n.leaderHeard.Add(n.ring.Settings.Lease())
	if l, ok := n.ring.Leader(); ok && s.InTouch {
		s.Leader, s.LeaderIncarnation, s.LeaderAddresses = l.ID, l.Incarnation, slices.Clone(l.Addresses)
	} else if me, ok := n.ring.Member(n.cfg.ID); ok && me.Incarnation == n.cfg.Incarnation {
		s.Leader, s.LeaderIncarnation, s.LeaderAddresses = me.ID, me.Incarnation, slices.Clone(me.Addresses)
	}
	return s
}

// inquiry is a member's doubt whether it still is one, and what others say to
// that. One opinion never ends a membership: a notice is but a reason to ask.
type inquiry struct {
	// since is when the doubt arose; 0 without one.
	since Instant
	// asked is when the others were asked last, next when to ask again.
	asked Instant
	next  Instant
	// told is when the first notice of eviction came in; 0 without one.
	told Instant
}

// noticed takes a notice of eviction.
func (n *Node) noticed(from uint64, e EvictedNotice) {
	switch {
	case e.ID != n.cfg.ID || n.ring.RingID != "" && e.RingID != n.ring.RingID:
		return
	case n.leavingSince != 0 && !n.mayVote() && n.knows(from):
		// Its own committed log has this member out already. It does not vote,
		// so nobody needs it.
		n.remove(e.Epoch, n.leavingWhy)
		return
	case !n.newer(e.Epoch), n.lead != nil && n.claiming:
		return
	}
	q := &n.inquiry
	if q.told == 0 {
		q.told = max(n.now, 1)
	}
	if q.since == 0 {
		n.trace("is told to be out of the ring, and asks the others")
		n.beginInquiry()
	} else if n.leavingSince != 0 {
		// One more no longer needs this member.
		q.next = min(q.next, q.asked.Add(n.ring.Settings.RenewEvery()))
	}
}

// newer reports whether an epoch can be one that this member is out of: the
// ring that it has applied has it in.
func (n *Node) newer(epoch uint64) bool {
	return n.ring.RingID == "" || epoch > n.ring.Epoch || n.leavingSince != 0 && epoch == n.ring.Epoch
}

// knows reports whether a message comes from a member that is known here.
func (n *Node) knows(id uint64) bool {
	_, ok := n.ring.Member(id)
	return ok || n.inConf(id)
}

func (n *Node) beginInquiry() {
	q := &n.inquiry
	q.since = max(n.now, 1)
	n.forgetAnswers()
}

// doubt asks the others what they know. If that is under way, it asks again soon:
// somebody speaks, so there is more to find out than while nobody is heard.
func (n *Node) doubt() {
	q := &n.inquiry
	if q.since == 0 {
		n.beginInquiry()
	}
	q.next = min(q.next, q.asked.Add(n.inquirePause()))
}

// inquirePause is the time between two inquiries of a member that hears somebody.
func (n *Node) inquirePause() time.Duration { return max(inquireAgain, n.ring.Settings.Lease()) }

func (n *Node) endInquiry() {
	n.inquiry = inquiry{asked: n.inquiry.asked, next: n.inquiry.next}
	n.forgetAnswers()
}

func (n *Node) forgetAnswers() {
	for _, p := range n.peers.All() {
		p.answer = nil
	}
}

// inquiryRule asks while there is a doubt, and raises one when this member is
// out of touch: it may have been taken out of the ring by members that it does
// not know, who have nothing to say to it.
func (n *Node) inquiryRule() {
	q := &n.inquiry
	if n.removed {
		return
	}
	if n.unborn() {
		if end := max(n.born, n.leaderHeard).Add(unbornPatience); n.now < end {
			n.wakeAt(end)
		} else {
			n.giveBirthUp()
			return
		}
	}
	lonely := n.outOfTouchSince()
	if lonely != Never {
		lonely = lonely.Add(max(inquireEvery, lonelyAfter*n.ring.Settings.Lease()))
	}
	if q.since != 0 && (n.claiming || n.ring.RingID != "" && n.leavingSince == 0 && n.leaderHeard > q.since) {
		n.endInquiry() // a leader speaks to this member
	}
	if q.since == 0 {
		if n.now < lonely {
			n.wakeAt(lonely)
			return
		}
		n.beginInquiry()
	}
	if n.now >= q.next {
		q.asked, q.next = n.now, n.now.Add(n.inquirePause())
		if n.now >= lonely {
			q.next = n.now.Add(inquireEvery)
		}
		n.emit(Inquire{})
	}
	n.wakeAt(q.next)
	if end := q.since.Add(n.inquiryPatience()); n.now < end {
		n.wakeAt(end)
	}
	n.judge()
}

// giveBirthUp ends the membership in a ring that never had a leader.
func (n *Node) giveBirthUp() {
	n.removed = true
	why := fmt.Sprintf("the ring that was founded had no leader within %v: a majority of its founders is not there", unbornPatience)
	n.trace("%s", why)
	n.emit(Removed{Epoch: n.ring.Epoch, Why: why, Unborn: true})
}

// outOfTouchSince is when this member was last in touch with its ring as far as
// it can tell, Never while nothing speaks against it.
func (n *Node) outOfTouchSince() Instant {
	switch {
	case n.lead != nil, len(n.ring.Members) == 1 && n.knows(n.cfg.ID) && n.leavingSince == 0:
		return Never
	case n.ring.RingID == "", n.isVoter(n.cfg.ID), n.leaderHeard < 0:
		return max(n.born, n.leaderHeard)
	case n.touchDoubted > n.leaderHeard:
		return n.touchDoubted
	case !n.leaderDeclaredInTerm():
		return n.leaderHeard // a caretaker speaks often, or is none any more
	}
	return Never // a learner that has everything hears nothing
}

// inquiryPatience is how long a member waits for those whom it knows before it
// believes others.
func (n *Node) inquiryPatience() time.Duration {
	if n.ring.RingID == "" {
		return 0 // it knows nobody, and has no log that anybody could need
	}
	return 2*n.ring.Settings.Lease() + inquireAgain
}

// Answered hands in what another member says of this one.
func (n *Node) Answered(now Instant, s Standing) {
	n.step(now, func() {
		q := &n.inquiry
		if q.since == 0 || s.From == 0 || s.From == n.cfg.ID || n.ring.RingID != "" && s.RingID != n.ring.RingID {
			return
		}
		n.peers.Ensure(s.From).answer = &s
		n.followLeader(s)
		n.judge()
	})
}

// judge ends the membership, or the doubt, if the answers suffice.
//
// Out is this member if a majority of the voters that it knows says so. They
// may be gone: every machine may have been replaced since. So after a while a
// majority of the voters of a newer configuration suffices, if none of those in
// touch with a leader says otherwise. In the same way a copy learns that another
// process is the member, if it knows too few of the present members to speak to
// one.
func (n *Node) judge() {
	q := &n.inquiry
	if n.removed || q.since == 0 {
		return
	}
	newest, inside := Standing{}, false
	for _, p := range n.peers.All() {
		s := p.answer
		if s == nil {
			continue
		}
		if n.saysNo(s.From) && (s.Epoch > newest.Epoch || s.Epoch == newest.Epoch && s.From < newest.From) {
			newest = *s
		}
		inside = inside || s.Member && s.InTouch && !n.saysNo(s.From)
	}
	switch {
	case newest.From != 0 && n.ring.RingID != "" && n.majoritySaysNo(n.conf.GetVoters()) && n.majoritySaysNo(n.conf.GetVotersOutgoing()):
		n.endTold(newest, "evicted, as a majority of the voters known here says")
	case inside:
		n.trace("is a member, as one that is in touch with the leader says")
		n.endInquiry()
	case newest.From != 0 && n.now >= q.since.Add(n.inquiryPatience()) && len(newest.Voters) > 0 && n.majoritySaysNo(newest.Voters):
		n.endTold(newest, fmt.Sprintf("evicted, as a majority of the voters of epoch %d says", newest.Epoch))
	}
}

// endTold ends the membership, or this process's part in it. A member that was
// going already goes for its own reason.
func (n *Node) endTold(s Standing, why string) {
	switch {
	case s.Member:
		n.supersede(Superseded{By: s.Incarnation, Addresses: slices.Clone(s.Addresses)})
	case n.leavingSince != 0:
		n.remove(s.Epoch, n.leavingWhy)
	default:
		n.remove(s.Epoch, why)
	}
}

// saysNo reports whether a member has said that this one is out, and needed by
// nobody, or that another process is this member.
func (n *Node) saysNo(id uint64) bool {
	s := n.peers.Value(id).answer
	return s != nil && (s.Out && !s.Needed && n.newer(s.Epoch) || n.replaced(*s))
}

// replaced reports whether the ring has recorded a process of this member that
// this one does not come after. One that lost count of those before it cannot say.
func (n *Node) replaced(s Standing) bool {
	if !s.Member || s.Incarnation == 0 || s.Incarnation == n.cfg.Incarnation || s.Epoch <= n.ring.Epoch || slices.Contains(n.cfg.Former, s.Incarnation) {
		return false
	}
	return n.identity.recorded || unknownTo(n.cfg.Former, s.Incarnation)
}

// majoritySaysNo reports whether a majority of the voters has said that this
// member, or this process of it, is out; all others of a pair. No voters agree to
// everything.
func (n *Node) majoritySaysNo(voters []uint64) bool {
	out, others := 0, 0
	for _, id := range voters {
		if id == n.cfg.ID {
			continue
		}
		others++
		if n.saysNo(id) {
			out++
		}
	}
	return out >= min(len(voters)/2+1, others)
}
