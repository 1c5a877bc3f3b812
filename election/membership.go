package election

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// membership says whether this member still is one.
type membership struct {
	*leadership
	campaign *campaign
	identity *identity
	inquiry  inquiry
	// leavingSince is when this member was taken out of the ring; it goes on
	// answering until raft counts on it no longer. 0 while it is a member.
	leavingSince Instant
	leavingWhy   string
	leavingVoter bool
}

// unborn reports whether the ring never had a leader, as far as is known here.
// What another leader appended to this member's log may have been committed,
// although no word of that came through. What this process appended as a leader
// was not, or it would know, and nobody else counts its copy.
func (m *membership) unborn() bool {
	if m.ring.RingID == "" {
		return m.cfg.Unborn
	}
	if m.ring.Epoch != m.ring.HighestID || m.ring.Term != 0 || m.leads() {
		return false
	}
	last, err := m.store.LastIndex()
	if err != nil || last == m.applied {
		return err == nil
	}
	first, err := m.store.Term(m.applied + 1)
	newest, errNewest := m.store.Term(last)
	return err == nil && errNewest == nil && m.campaign.wonTerm != 0 && first == m.campaign.wonTerm && newest == m.campaign.wonTerm
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
func (m *membership) noticed(from uint64, e EvictedNotice) {
	switch {
	case e.ID != m.cfg.ID || m.ring.RingID != "" && e.RingID != m.ring.RingID:
		return
	case m.leavingSince != 0 && !m.mayVote() && m.knows(from):
		// Its own committed log has this member out already. It does not vote,
		// so nobody needs it.
		m.parent.remove(Removed{Epoch: e.Epoch, Why: m.leavingWhy})
		return
	case !m.newer(e.Epoch), m.leads() && m.leadership.claiming:
		return
	}
	q := &m.inquiry
	q.told = cmp.Or(q.told, m.now)
	if q.since == 0 {
		m.trace("is told to be out of the ring, and asks the others")
		q.since = m.now
	} else if m.leavingSince != 0 {
		// One more no longer needs this member.
		q.next = min(q.next, q.asked.Add(m.ring.Settings.RenewEvery()))
	}
}

// newer reports whether an epoch can be one that this member is out of: the
// ring that it has applied has it in.
func (m *membership) newer(epoch uint64) bool {
	return m.ring.RingID == "" || epoch > m.ring.Epoch || m.leavingSince != 0 && epoch == m.ring.Epoch
}

// knows reports whether a message comes from a member that is known here.
func (m *membership) knows(id uint64) bool {
	return m.isMember(id) || m.inConf(id)
}

// doubt asks the others what they know. If that is under way, it asks again soon:
// somebody speaks, so there is more to find out than while nobody is heard.
func (m *membership) doubt() {
	q := &m.inquiry
	q.since = cmp.Or(q.since, m.now)
	q.next = min(q.next, q.asked.Add(m.inquirePause()))
}

// inquirePause is the time between two inquiries of a member that hears somebody.
func (m *membership) inquirePause() time.Duration {
	return max(durations.InquiryAgain, m.ring.Settings.Lease())
}

func (m *membership) endInquiry() {
	m.inquiry = inquiry{asked: m.inquiry.asked, next: m.inquiry.next}
	for _, p := range m.roster.peers.All() {
		p.answer = nil
	}
}

// inquiryRule asks while there is a doubt, and raises one when this member is
// out of touch: it may have been taken out of the ring by members that it does
// not know, who have nothing to say to it.
func (m *membership) inquiryRule() {
	q := &m.inquiry
	if m.removed {
		return
	}
	if m.unborn() && !m.before(max(m.born, m.roster.leaderHeard).Add(durations.Unborn)) {
		why := fmt.Sprintf("the ring that was founded had no leader within %v: a majority of its founders is not there", durations.Unborn)
		m.parent.remove(Removed{Epoch: m.ring.Epoch, Why: why, Unborn: true})
		return
	}
	isolatedAt := m.outOfTouchSince()
	if isolatedAt != Never {
		isolatedAt = isolatedAt.Add(max(durations.Inquiry, isolationLeases*m.ring.Settings.Lease()))
	}
	if q.since != 0 && (m.leadership.claiming || m.ring.RingID != "" && m.leavingSince == 0 && m.roster.leaderHeard > q.since) {
		m.endInquiry() // a leader speaks to this member
	}
	if q.since == 0 {
		if m.before(isolatedAt) {
			return
		}
		q.since = m.now
	}
	if m.now >= q.next {
		q.asked, q.next = m.now, m.now.Add(m.inquirePause())
		if m.now >= isolatedAt {
			q.next = m.now.Add(durations.Inquiry)
		}
		m.emit(Inquire{})
	}
	m.wakeAt(q.next)
	if end := q.since.Add(m.inquiryPatience()); m.now < end {
		m.wakeAt(end)
	}
	m.judge()
}

// outOfTouchSince is when this member was last in touch with its ring as far as
// it can tell, Never while nothing speaks against it.
func (m *membership) outOfTouchSince() Instant {
	switch {
	case m.leads(), len(m.ring.Members) == 1 && m.knows(m.cfg.ID) && m.leavingSince == 0:
		return Never
	case m.ring.RingID == "", m.isVoter(m.cfg.ID), m.roster.leaderHeard < 0:
		return max(m.born, m.roster.leaderHeard)
	case m.roster.touchDoubted > m.roster.leaderHeard:
		return m.roster.touchDoubted
	case !m.leaderDeclaredInTerm():
		return m.roster.leaderHeard // a caretaker speaks often, or is none any more
	}
	return Never // a learner that has everything hears nothing
}

// inquiryPatience is how long a member waits for those whom it knows before it
// believes others.
func (m *membership) inquiryPatience() time.Duration {
	if m.ring.RingID == "" {
		return 0 // it knows nobody, and has no log that anybody could need
	}
	return 2*m.ring.Settings.Lease() + durations.InquiryAgain
}

// judge ends the membership, or the doubt, if the answers suffice.
//
// Out is this member if a majority of the voters that it knows says so. They
// may be gone: every machine may have been replaced since. So after a while a
// majority of the voters of a newer configuration suffices, if none of those in
// touch with a leader says otherwise. In the same way a copy learns that another
// process is the member, if it knows too few of the present members to speak to
// one.
func (m *membership) judge() {
	q := &m.inquiry
	if m.removed || q.since == 0 {
		return
	}
	newest, out := m.saidOut()
	inside := m.roster.peers.Any(func(p *peer) bool {
		return p.answer != nil && p.answer.Member && p.answer.InTouch && !m.saysNo(p.answer)
	})
	switch {
	case out && m.ring.RingID != "" && m.majoritySaysNo(m.conf.GetVoters()) && m.majoritySaysNo(m.conf.GetVotersOutgoing()):
		m.endTold(newest, "evicted, as a majority of the voters known here says")
	case inside:
		m.trace("is a member, as one that is in touch with the leader says")
		m.endInquiry()
	case out && m.now >= q.since.Add(m.inquiryPatience()) && len(newest.Voters) > 0 && m.majoritySaysNo(newest.Voters):
		m.endTold(newest, fmt.Sprintf("evicted, as a majority of the voters of epoch %d says", newest.Epoch))
	}
}

// endTold ends the membership, or this process's part in it. A member that was
// going already goes for its own reason.
func (m *membership) endTold(s Standing, why string) {
	if s.Member {
		m.parent.supersede(Superseded{By: s.Incarnation, Addresses: slices.Clone(s.Addresses)})
	} else {
		m.parent.remove(Removed{Epoch: s.Epoch, Why: cmp.Or(m.leavingWhy, why)})
	}
}

// saysNo reports whether an answer, nil if there is none, says that this member is out,
// and needed by nobody, or that another process is this member.
func (m *membership) saysNo(s *Standing) bool {
	return s != nil && (s.Out && !s.Needed && m.newer(s.Epoch) || m.replaced(*s))
}

// replaced reports whether the ring has recorded a process of this member that
// this one does not come after. One that lost count of those before it cannot say.
func (m *membership) replaced(s Standing) bool {
	if !s.Member || s.Incarnation == 0 || s.Incarnation == m.cfg.Incarnation || s.Epoch <= m.ring.Epoch || slices.Contains(m.cfg.Former, s.Incarnation) {
		return false
	}
	return m.identity.recorded || unknownTo(m.cfg.Former, s.Incarnation)
}

// majoritySaysNo reports whether a majority of the voters has said that this
// member, or this process of it, is out; all others of a pair. No voters agree to
// everything.
func (m *membership) majoritySaysNo(voters []uint64) bool {
	others := only(voters, func(id uint64) bool { return id != m.cfg.ID })
	out := count(others, func(id uint64) bool { return m.saysNo(m.roster.peers.Value(id).answer) })
	return out >= min(len(voters)/2+1, len(others))
}

// leaveRule lets a member that was taken out of the ring go as soon as the
// others say that raft does without it too. A member that never voted goes after a while.
func (m *membership) leaveRule() {
	if m.leavingSince == 0 {
		return
	}
	// A voter never goes by time: the others may need its log.
	if len(m.ring.Members) == 0 || !m.mayVote() && !m.before(m.leavingSince.Add(2*m.ring.Settings.Lease()).Add(time.Second)) {
		m.parent.remove(Removed{Epoch: m.ring.Epoch, Why: m.leavingWhy})
		return
	}
	m.identity.announce(m.ring.Settings.RenewEvery() / 4) // any message will do: the answer is the notice
}

// mayVote reports whether raft may count on a member that was taken out of the ring: it
// voted then, or has become a voter since by a change that was in the log already, be
// that committed or not.
func (m *membership) mayVote() bool {
	m.leavingVoter = m.leavingVoter || m.isVoter(m.cfg.ID) || m.promotedAhead()
	return m.leavingVoter
}

// asksWhetherMember reports whether others have just told this member that it is
// out, or one of those who say so knows a leader: the ring does not wait.
func (m *membership) asksWhetherMember(now Instant) bool {
	q := &m.inquiry
	said := m.roster.peers.Any(func(p *peer) bool { return m.saysNo(p.answer) && p.answer.InTouch })
	return said || q.told != 0 && now < q.told.Add(m.inquiryPatience())
}

// saidOut returns what the member said that knows the newest ring without this
// one, while this member has not come to a judgement.
func (m *membership) saidOut() (newest Standing, ok bool) {
	for _, p := range m.roster.peers.All() {
		if m.saysNo(p.answer) && p.answer.Epoch > newest.Epoch {
			newest, ok = *p.answer, true
		}
	}
	return newest, ok
}
