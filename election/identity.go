package election

import (
	"cmp"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// A member's word counts for one process alone, its holder: the one that the
// ring has recorded. A data directory may be copied, and then two processes
// speak for one member. If one voter counted the first and another voter the
// second, two majorities would have nobody in common.
//
// Another process takes the holder's place in one of these ways only:
//
//   - It answers at the addresses that the ring has recorded, where the holder was:
//     two processes cannot listen at one address.
//   - The host there answers that nobody listens, or only strangers are there, and
//     the other one speaks. (A packet filter that rejects a connection, instead of
//     dropping it, looks like that.) A certificate alone lets nobody in: the member
//     may have been started again where this one cannot look. With it, one counts that
//     answers at the recorded addresses and was started from the holder's directory,
//     also if it is not known where the holder was.
//   - The ring has recorded the other one. The holder's words stop counting as
//     soon as that entry is in the log, those of the other one begin to count
//     when it is applied. So a majority without both of them has to agree. The
//     other one may end before, after it has acknowledged more: the holder stays
//     out all the same, and only one that was started later from the other one's
//     directory counts.
//   - This member was restarted, neither it nor the ring has heard the holder
//     since, and the holder does not answer. That is what a restart of all machines
//     needs.
//   - The two are all voters there are, or this one is the only voter, and its log has
//     no change of the configuration that may be committed. The holder does not
//     answer and was not heard for a lease.
//
// In each of these ways but the third, the other process must have announced what it
// was started from: an answer says nothing of its disk. It is asked if it does not.
//
// Addresses change, so an address may have said something wrong. If the recorded
// process answers after all, it counts again, unless something was done on the
// other one's word.
//
// A learner's opinion decides nothing. It takes any process, so that a restart
// costs one probe from each voter and not one from each member.
type identity struct {
	*roster
	lease     *lease
	promises  *promises
	proposals *proposals

	// logged are the returns in the log that are not applied.
	logged []loggedReturn
	// restored is the last index of the log at the start.
	restored uint64
	// recorded is true once the ring has recorded this very process.
	recorded bool
	// toldSince is since when others say that another process is this member.
	toldSince Instant
	// returned is when the others were last told of this process.
	returned Instant
}

// heldWord is a member's word that another process is this member, and when it came.
type heldWord struct {
	by uint64
	at Instant
}

// ending is when a process was found to have ended, and whether that is certified.
type ending struct {
	at        Instant
	certified bool
}

// holder returns the incarnation whose words count for a member.
func (i *identity) holder(m ring.Member) uint64 {
	return cmp.Or(i.roster.peers.Value(m.ID).holder, m.Incarnation)
}

// counts reports whether a message from a process of a member counts, and
// takes note of it. A transport that does not know the process says 0.
func (i *identity) counts(m ring.Member, msg Message) bool {
	incarnation, h, p := msg.Incarnation, i.holder(m), i.roster.peers.Ensure(m.ID)
	certified := p.cert != nil
	switch {
	case incarnation == 0:
		return true
	case i.misjudged(m, incarnation):
		i.question(m, i.noteClaim(m, msg), incarnation)
		return false
	case i.ended(m.ID, incarnation):
		if incarnation != m.Incarnation && (p.toldAt == 0 || i.now >= p.toldAt.Add(i.ring.Settings.RenewEvery())) {
			p.toldAt = i.now
			i.tellHeld(m, incarnation, false) // perhaps it lives
		}
		return false
	case incarnation == h && !i.replacedInLog(m.ID, incarnation):
		if !certified {
			p.holder = incarnation
		}
		if r := msg.Return; r != nil && r.ID == m.ID && r.Incarnation == incarnation {
			p.announced = r
		}
		return !certified
	}
	c := i.noteClaim(m, msg)
	switch {
	case incarnation == h:
		if i.isVoter(i.cfg.ID) && i.replacedInLog(m.ID, incarnation) {
			return false // until it is known whether that entry is committed
		}
		i.takeOver(m, incarnation) // it says that it comes after that one
		return true
	case i.leads() && c.ret == nil:
		i.askWho(m, c)
		return false // what it announces decides
	case i.isVoter(i.cfg.ID) && i.behind(m, c):
		i.refuseClaim(m, c, true)
		return false
	case incarnation == m.Incarnation && !i.replacedInLog(m.ID, incarnation) || !i.isVoter(i.cfg.ID):
		i.takeOver(m, incarnation)
		return true
	case !i.replacedInLog(m.ID, incarnation):
		i.question(m, c, h)
		i.askWho(m, c)
	default:
		i.askWho(m, c) // it may come after the one that the log names
	}
	return false
}

func (i *identity) ended(id, incarnation uint64) bool {
	p := i.roster.peers.Value(id)
	return p.ended.Get(incarnation) != nil
}

// retiredKept bounds how many processes of one member are known as ended. A
// certificate may name any.
const retiredKept = 64

// retire notes that a process's words never count again.
func (i *identity) retire(id, incarnation uint64, certified bool) {
	p := i.roster.peers.Ensure(id)
	e := p.ended.Ensure(incarnation)
	e.at = cmp.Or(e.at, i.now)
	e.certified = e.certified || certified
	if p.ended.Len() <= retiredKept {
		return
	}
	// The oldest is dropped, but the newest and none that still matters. If a dropped
	// one spoke again, the holder would be asked.
	m := i.memberOrGone(id)
	var oldest uint64
	for inc, e := range p.ended.All() {
		matters := inc == incarnation || inc == m.Incarnation || inc == i.holder(m) || p.claim != nil && inc == p.claim.incarnation ||
			slices.ContainsFunc(i.logged, func(l loggedReturn) bool { return l.id == id && l.incarnation == inc })
		if !matters && (oldest == 0 || e.at < p.ended.Value(oldest).at) {
			oldest = inc
		}
	}
	p.ended.Delete(oldest)
}

// takeOver lets another process of a member count from now on.
func (i *identity) takeOver(m ring.Member, incarnation uint64) {
	p := i.roster.peers.Ensure(m.ID)
	p.holder, p.announced = incarnation, nil
	if c := p.claim; c != nil && c.incarnation == incarnation {
		p.heard = max(p.heard, c.heard) // silent was the former one
		p.announced = c.ret
	}
	i.roster.answered(m.ID) // what the former one owed
	i.trace("%s speaks as process %d from now on", m.Name, incarnation)
	i.forgetStale(m.ID)
	i.parent.processReplaced(m.ID, i.ackedByAnother(m.ID, incarnation))
}

// ackedByAnother reports whether a voter's former process has acknowledged entries of
// this term, and the present one does not come after it. Raft would never send those
// again, so nothing could be committed.
func (i *identity) ackedByAnother(id, incarnation uint64) bool {
	r, former := i.announcedBy(id, incarnation), i.roster.peers.Value(id).relied
	return i.leads() && r != nil && i.isVoter(id) && i.acknowledged(id) > 0 && unknownTo(append(slices.Clone(r.Former), incarnation), former)
}

// mayRecord reports whether this leader lets the ring record processes: once it is
// declared, so that a declaration waits for nothing. A witness never is, nor is who has
// left the ring, and they must not wait for that: in a pair, or alone, they promote those
// who may lead only when the ring has recorded who counts.
func (i *identity) mayRecord() bool {
	me, member := i.ring.Member(i.cfg.ID)
	return i.leads() && (i.declared() || i.ring.RingID != "" && (!member || me.Witness))
}

// recordChange follows up on a member's process that the log gives at index.
func (i *identity) recordChange(index uint64, was, is ring.Member) {
	defer i.forgetStale(is.ID)
	p := i.roster.peers.Ensure(is.ID)
	switch {
	case is.ID == i.cfg.ID:
		return // see checkRecorded
	case was.Incarnation == is.Incarnation:
		// The addresses that the ring has recorded replace those that the process
		// announced. If they are the older ones, it announces again.
		if a := p.announced; a != nil && a.Incarnation == is.Incarnation {
			p.announced = new(*a)
			p.announced.Addresses = is.Addresses
		}
		return
	}
	h, heard := p.holder, p.holder != 0
	speaks := i.now < p.heard.Add(i.ring.Settings.Lease())
	if heard && h != is.Incarnation && speaks && i.everyMajorityNeedsMe() && !i.ended(is.ID, h) {
		return // a pair: this member has taken another one since, and decides alone
	}
	i.retire(is.ID, was.Incarnation, false)
	i.roster.answered(is.ID) // what the former one owed
	if i.leads() && i.holder(was) != is.Incarnation {
		// Silence let it in, not a proof. Who was silent may still be bound, and
		// who came does not know to what.
		i.lease.bonds.Ensure(is.ID).acked = ackedRenewal{}
		p.quiet = i.now.Add(max(i.ring.Settings.Lease(), i.promises.bound))
	}
	switch {
	case heard && h != was.Incarnation && h != is.Incarnation && (index <= i.restored || i.follows(is.ID, h, is.Incarnation)):
		// The entry is older than what this member has found out.
		return
	case index > i.restored:
		p.holder = is.Incarnation // somebody has heard it in this life
	default:
		p.holder = 0
	}
	// A majority counts it, whatever this member was answered.
	if !p.ended.Value(is.Incarnation).certified {
		p.ended.Delete(is.Incarnation)
	}
}

// recordJoin follows up on a joiner that the log gives at index: the member that let it
// in has heard it.
func (i *identity) recordJoin(index uint64, m ring.Member) {
	if index > i.restored && m.ID != i.cfg.ID {
		i.roster.peers.Ensure(m.ID).holder = m.Incarnation
	}
}

// forgetOpinions lets a learner that becomes a voter count those that the ring
// has recorded: as a learner it took any process.
func (i *identity) forgetOpinions() {
	for _, m := range i.ring.Members {
		if p := i.roster.peers.Get(m.ID); p != nil && p.holder != 0 {
			p.holder = m.Incarnation
		}
	}
}

// unknownTo reports whether a directory with these former processes never ran a
// process of its member. Incarnations of one directory grow, so a list that begins
// later says nothing of it.
func unknownTo(former []uint64, incarnation uint64) bool {
	return len(former) > 0 && incarnation > slices.Min(former) && !slices.Contains(former, incarnation)
}

// checkRecorded notes that the ring has recorded this process, or another one
// after it. In the latter case this process is out.
func (i *identity) checkRecorded() {
	me, ok := i.ring.Member(i.cfg.ID)
	switch {
	case !ok:
	case me.Incarnation == i.cfg.Incarnation:
		i.recorded = true
	case i.recorded && i.everyMajorityNeedsMe():
		// The partner may have taken a copy for this member, which has ended. It says
		// so if that one lives, and else records this process again.
	case i.recorded:
		i.parent.supersede(Superseded{By: me.Incarnation, Addresses: slices.Clone(me.Addresses)})
	}
}

// forgetPeers drops what is known of those who are neither members nor needed, but
// for what somebody waits for. It drops what was held against processes that are no
// longer the member's.
func (i *identity) forgetPeers() {
	for _, id := range i.roster.peers.IDs() {
		i.forgetStale(id)
		if i.isMember(id) || i.needed(id) {
			continue
		}
		if p := i.roster.peers.Get(id); p.answer != nil || p.inspection != nil {
			*p = peer{answer: p.answer, inspection: p.inspection}
		} else {
			i.roster.peers.Delete(id)
		}
	}
}

// forgetStale drops what is known against a process that is not the member's
// newest.
func (i *identity) forgetStale(id uint64) {
	m, ok := i.ring.Member(id)
	p := i.roster.peers.Ensure(id)
	if p.suspect != nil && (!ok || !i.concerns(p.suspect.Opinion, m)) {
		p.suspect = nil
		i.roster.suspicionChanges++
	}
	if p.cert != nil && (!ok || p.cert.Incarnation != i.holder(m)) {
		p.cert = nil
		i.roster.suspicionChanges++
	}
}

// concerns reports whether a suspicion is about a process that the member may
// still be. Monitors know the committed incarnation alone, and a newer one may
// die before it is committed; the leader's own probe asks for any.
func (i *identity) concerns(s ring.Opinion, m ring.Member) bool {
	return s.Incarnation == m.Incarnation || s.Incarnation == i.holder(m)
}

// probeOf makes a probe of a member's process, where that one listens as far as is
// known: it may have told so before the ring has recorded it.
func (i *identity) probeOf(m ring.Member) Probe {
	return Probe{Addresses: i.placeOf(m), Timeout: i.probeTimeout(), Asked: i.now,
		Wanted: ring.Wanted{Cluster: i.ring.Cluster, RingID: i.ring.RingID, Name: m.Name, ID: m.ID, Incarnation: m.Incarnation}}
}

func (i *identity) self() *Return {
	r := &Return{
		Return: ring.Return{ID: i.cfg.ID, Incarnation: i.cfg.Incarnation, Addresses: i.cfg.Addresses, Version: i.cfg.Version, LogVersion: i.cfg.LogVersion},
		Former: i.cfg.Former, Last: i.lastStored(), Term: i.term,
	}
	if len(r.Addresses) == 0 {
		me, _ := i.ring.Member(i.cfg.ID)
		r.Addresses = me.Addresses
	}
	return r
}

// announce sends this incarnation to all members every so often.
func (i *identity) announce(every time.Duration) {
	if i.now >= i.returned.Add(every) {
		i.returned = i.now
		for _, m := range i.ring.Members {
			if m.ID != i.cfg.ID {
				i.send(Message{To: m.ID, Return: i.self()})
			}
		}
		// Others may decide about this member too: voters that are out of the ring as far
		// as it knows, and a leader that joined later than it knows.
		for _, id := range slices.Compact(append(i.otherVoters(), i.raftLead)) {
			if !i.isMember(id) && id != 0 && id != i.cfg.ID {
				i.send(Message{To: id, Return: i.self()})
			}
		}
	}
	i.wakeAt(i.returned.Add(every))
}

// announceRule tells the others of this process, while the ring has not recorded it as
// it is, or while this member hears nobody.
func (i *identity) announceRule() {
	me, ok := i.ring.Member(i.cfg.ID)
	if i.ring.RingID == "" && i.restarted && i.raftLead != 0 && !i.removed {
		// The ring may have recorded its former process, which ended before anything
		// was on its disk. The leader gives it nothing before it says what it is.
		i.announce(durations.InquiryAgain)
	}
	if i.removed || !ok {
		return
	}
	moved := len(i.cfg.Addresses) > 0 && !slices.Equal(me.Addresses, i.cfg.Addresses)
	changed := moved || me.Incarnation != i.cfg.Incarnation || me.Version != i.cfg.Version || me.LogVersion != i.cfg.LogVersion
	if i.leads() {
		if changed && i.mayRecord() {
			i.proposals.proposeOnce(proposalKey{kind: "return", id: me.ID}, ring.Command{Return: &i.self().Return})
		}
		return
	}
	// A learner that has everything hears nothing: it is isolated only if
	// something speaks against its being in touch.
	isolatedAt := i.roster.leaderHeard.Add(isolationLeases * i.ring.Settings.Lease())
	if !i.isVoter(i.cfg.ID) && i.roster.leaderHeard > 0 {
		isolatedAt = Never
		if i.roster.touchDoubted > i.roster.leaderHeard {
			isolatedAt = i.roster.touchDoubted.Add(isolationLeases * i.ring.Settings.Lease())
		}
	}
	switch {
	case changed:
		// Everybody is told, since certificates of the former process may
		// still be under way to everybody.
		i.announce(i.ring.Settings.RenewEvery())
	case i.now >= isolatedAt:
		// Perhaps the ring went on without this member: those who know answer
		// with a notice.
		i.announce(i.ring.Settings.Lease())
	default:
		i.wakeAt(isolatedAt)
	}
}
