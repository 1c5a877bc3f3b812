package election

import (
	"cmp"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

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
	// logged are the returns in the log that are not applied.
	logged []loggedReturn
	// restored is the last index of the log at the start.
	restored uint64
	// recorded is true once the ring has recorded this very process.
	recorded bool
	// toldSince is since when others say that another process is this member.
	toldSince Instant
}

// heldWord is a member's word that another process is this member, and when it came.
type heldWord struct {
	by uint64
	at Instant
}

// ending is when a process was found to have ended, and whether that is certified.
type ending struct {
	incarnation uint64
	at          Instant
	certified   bool
}

// loggedReturn is an entry that gives a member another process: its return, or the
// declaration of a leader whose return is not committed. That one names no addresses.
type loggedReturn struct {
	index, id, incarnation uint64
	addresses              []string
}

// holder returns the incarnation whose words count for a member.
func (n *Node) holder(m ring.Member) uint64 {
	return cmp.Or(n.peers.Value(m.ID).holder, m.Incarnation)
}

// counts reports whether a message from a process of a member counts, and
// takes note of it. A transport that does not know the process says 0.
func (n *Node) counts(m ring.Member, msg Message) bool {
	incarnation, h, p := msg.Incarnation, n.holder(m), n.peers.Ensure(m.ID)
	certified := p.cert != nil
	switch {
	case incarnation == 0:
		return true
	case n.misjudged(m, incarnation):
		n.question(m, n.noteClaim(m, msg), incarnation)
		return false
	case n.ended(m.ID, incarnation):
		if told := p.toldAt; incarnation != m.Incarnation && (!told.set || n.now >= told.at.Add(n.ring.Settings.RenewEvery())) {
			p.toldAt = markAt(n.now)
			n.tellHeld(m, incarnation, false) // perhaps it lives
		}
		return false
	case incarnation == h && !n.replacedInLog(m.ID, incarnation):
		if !certified {
			p.holder = incarnation
		}
		if r := msg.Return; r != nil && r.ID == m.ID && r.Incarnation == incarnation {
			p.announced = r
		}
		return !certified
	}
	c := n.noteClaim(m, msg)
	switch {
	case incarnation == h:
		if n.isVoter(n.cfg.ID) && n.replacedInLog(m.ID, incarnation) {
			return false // until it is known whether that entry is committed
		}
		n.takeOver(m, incarnation) // it says that it comes after that one
		return true
	case n.lead != nil && c.ret == nil:
		n.askWho(m, c)
		return false // what it announces decides
	case n.isVoter(n.cfg.ID) && n.behind(m, c):
		n.refuseClaim(m, c, true)
		return false
	case incarnation == m.Incarnation && !n.replacedInLog(m.ID, incarnation) || !n.isVoter(n.cfg.ID):
		n.takeOver(m, incarnation)
		return true
	case !n.replacedInLog(m.ID, incarnation):
		n.question(m, c, h)
		n.askWho(m, c)
	}
	return false
}

func (n *Node) ended(id, incarnation uint64) bool {
	return n.peers.Value(id).ending(incarnation) != ending{}
}

// ending returns how a process of a member ended, the zero value if it has not as
// far as is known.
func (p peer) ending(incarnation uint64) ending {
	for _, e := range p.ended {
		if e.incarnation == incarnation {
			return e
		}
	}
	return ending{}
}

// retiredKept bounds how many processes of one member are known as ended. A
// certificate may name any.
const retiredKept = 64

// retire notes that a process's words never count again.
func (n *Node) retire(id, incarnation uint64, certified bool) {
	p := n.peers.Ensure(id)
	for i := range p.ended {
		if e := &p.ended[i]; e.incarnation == incarnation {
			e.certified = e.certified || certified
			return
		}
	}
	p.ended = append(p.ended, ending{incarnation, n.now, certified})
	n.forgetRetired(id, incarnation)
}

// forgetRetired drops the oldest ended process of a member above the bound, but
// the newest and none that still matters. If a dropped one spoke again, the holder
// would be asked.
func (n *Node) forgetRetired(id, newest uint64) {
	p := n.peers.Get(id)
	if len(p.ended) <= retiredKept {
		return
	}
	m := n.memberOrGone(id)
	matters := func(e ending) bool {
		return e.incarnation == newest || e.incarnation == m.Incarnation || e.incarnation == n.holder(m) || p.claim != nil && e.incarnation == p.claim.incarnation ||
			slices.ContainsFunc(n.identity.logged, func(l loggedReturn) bool { return l.id == id && l.incarnation == e.incarnation })
	}
	droppable := slices.DeleteFunc(slices.Clone(p.ended), matters)
	if len(droppable) > 0 {
		oldest := slices.MinFunc(droppable, func(a, b ending) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.incarnation, b.incarnation))
		})
		p.ended = slices.DeleteFunc(p.ended, func(e ending) bool { return e == oldest })
	}
}

// takeOver lets another process of a member count from now on.
func (n *Node) takeOver(m ring.Member, incarnation uint64) {
	p := n.peers.Ensure(m.ID)
	p.holder, p.announced = incarnation, nil
	if c := p.claim; c != nil && c.incarnation == incarnation {
		p.heard = markAt(max(p.heard.at, c.heard)) // silent was the former one
		p.announced = c.ret
	}
	n.answered(m.ID) // what the former one owed
	n.trace("%s speaks as process %x from now on", m.Name, incarnation)
	n.forgetStale(m.ID)
	if n.isVoter(m.ID) {
		n.startOver()
	}
	n.peersChanged()
	if n.ackedByAnother(m.ID, incarnation) {
		n.giveUp()
	}
}

// ackedByAnother reports whether a voter's former process has acknowledged entries of
// this term, and the present one does not come after it. Raft would never send those
// again, so nothing could be committed.
func (n *Node) ackedByAnother(id, incarnation uint64) bool {
	r, former := n.announcedBy(id, incarnation), n.peers.Value(id).relied
	return n.lead != nil && r != nil && n.isVoter(id) && n.acknowledged(id) > 0 && unknownTo(append(slices.Clone(r.Former), incarnation), former)
}

// mayRecord reports whether this leader lets the ring record processes: once it is
// declared, so that a declaration waits for nothing. A witness never is, nor is who has
// left the ring, and they must not wait for that: in a pair, or alone, they promote those
// who may lead only when the ring has recorded who counts.
func (n *Node) mayRecord() bool {
	me, member := n.ring.Member(n.cfg.ID)
	return n.lead != nil && (n.declared() || n.ring.RingID != "" && (!member || me.Witness))
}

// recordChange follows up on a member's process that the log gives at index.
func (n *Node) recordChange(index uint64, was, is ring.Member) {
	i := &n.identity
	defer n.forgetStale(is.ID)
	switch {
	case is.ID == n.cfg.ID:
		return // see checkRecorded
	case was.Incarnation == is.Incarnation:
		n.recordAddresses(is)
		return
	}
	p := n.peers.Ensure(is.ID)
	h, heard := p.holder, p.holder != 0
	speaks := n.now < p.heard.at.Add(n.ring.Settings.Lease())
	if heard && h != is.Incarnation && speaks && n.everyMajorityNeedsMe() && !n.ended(is.ID, h) {
		return // a pair: this member has taken another one since, and decides alone
	}
	n.retire(is.ID, was.Incarnation, false)
	n.answered(is.ID) // what the former one owed
	if n.lead != nil && n.holder(was) != is.Incarnation {
		// Silence let it in, not a proof. Who was silent may still be bound, and
		// who came does not know to what.
		n.lead.followers.Ensure(is.ID).acked = ackedRenewal{}
		p.quiet = n.now.Add(max(n.ring.Settings.Lease(), n.voter.bound))
	}
	switch {
	case heard && h != was.Incarnation && h != is.Incarnation && (index <= i.restored || n.follows(is.ID, h, is.Incarnation)):
		// The entry is older than what this member has found out.
		return
	case index > i.restored:
		p.holder = is.Incarnation // somebody has heard it in this life
	default:
		p.holder = 0
	}
	// A majority counts it, whatever this member was answered.
	p.ended = slices.DeleteFunc(p.ended, func(e ending) bool { return e.incarnation == is.Incarnation && !e.certified })
}

// recordAddresses lets the addresses that the ring has recorded for a process
// replace those that it announced. If they are the older ones, it announces again.
func (n *Node) recordAddresses(is ring.Member) {
	if p := n.peers.Get(is.ID); p != nil && p.announced != nil && p.announced.Incarnation == is.Incarnation {
		c := *p.announced
		c.Addresses = is.Addresses
		p.announced = &c
	}
}

// recordJoin follows up on a joiner that the log gives at index: the member that let it
// in has heard it.
func (n *Node) recordJoin(index uint64, m ring.Member) {
	if index > n.identity.restored && m.ID != n.cfg.ID {
		n.peers.Ensure(m.ID).holder = m.Incarnation
	}
}

// forgetOpinions lets a learner that becomes a voter count those that the ring
// has recorded: as a learner it took any process.
func (n *Node) forgetOpinions() {
	for _, m := range n.ring.Members {
		if p := n.peers.Get(m.ID); p != nil && p.holder != 0 {
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

// checkFormer drops the list of former incarnations if the own log knows a process
// that has to be in it: it lost some of them.
func (n *Node) checkFormer() {
	if me, ok := n.ring.Member(n.cfg.ID); ok && unknownTo(n.cfg.Former, me.Incarnation) {
		n.cfg.Former = nil
	}
}

// checkRecorded notes that the ring has recorded this process, or another one
// after it.
func (n *Node) checkRecorded() {
	me, ok := n.ring.Member(n.cfg.ID)
	switch {
	case !ok:
	case me.Incarnation == n.cfg.Incarnation:
		n.identity.recorded = true
	case n.identity.recorded && n.everyMajorityNeedsMe():
		// The partner may have taken a copy for this member, which has ended. It says
		// so if that one lives, and else records this process again.
	case n.identity.recorded:
		n.supersede(Superseded{By: me.Incarnation, Addresses: slices.Clone(me.Addresses)})
	}
}

// noteReturns takes down which of these entries, new in the log, give a member
// another process.
func (n *Node) noteReturns(entries []*raftpb.Entry) {
	i := &n.identity
	if len(entries) == 0 {
		return
	}
	first := entries[0].GetIndex()
	i.logged = slices.DeleteFunc(i.logged, func(l loggedReturn) bool { return l.index >= first || l.index <= n.applied })
	for _, e := range entries {
		if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		c, err := n.commands.read(e)
		switch {
		case err != nil:
		case c.Return != nil:
			i.logged = append(i.logged, loggedReturn{e.GetIndex(), c.Return.ID, c.Return.Incarnation, slices.Clone(c.Return.Addresses)})
		case c.Declare != nil && c.Declare.Incarnation != 0 && c.Declare.Incarnation != n.processInLog(c.Declare.ID):
			i.logged = append(i.logged, loggedReturn{e.GetIndex(), c.Declare.ID, c.Declare.Incarnation, nil})
		}
	}
}

// processInLog returns the process that the ring will have recorded for a member, if
// what this member knows of the log is committed.
func (n *Node) processInLog(id uint64) uint64 {
	if l, ok := n.newestReturn(id); ok {
		return l.incarnation
	}
	return n.memberOrGone(id).Incarnation
}

// noteSnapshot does the same for a snapshot that is not on the disk yet.
func (n *Node) noteSnapshot(s *raftpb.Snapshot) {
	next, _, err := readSnapshot(s)
	if err != nil {
		return // restore says so
	}
	for _, is := range next.Members {
		if was, ok := n.ring.Member(is.ID); ok && was.Incarnation != is.Incarnation {
			n.identity.logged = append(n.identity.logged, loggedReturn{s.GetMetadata().GetIndex(), is.ID, is.Incarnation, is.Addresses})
		}
	}
}

// replacedInLog reports whether an entry of this member's log gives the place of
// a process to another one. That entry may be committed, and the other one may
// have acknowledged more since, even if it has ended. So only a process counts
// that was started from its directory later. In a pair this member has all.
func (n *Node) replacedInLog(id, incarnation uint64) bool {
	l, ok := n.newestReturn(id)
	return ok && l.incarnation != incarnation && !n.follows(id, incarnation, l.incarnation) && !n.everyMajorityNeedsMe()
}

// follows reports whether a process of a member has announced that it was
// started from the directory of a former one.
func (n *Node) follows(id, incarnation, former uint64) bool {
	r := n.announcedBy(id, incarnation)
	return r != nil && slices.Contains(r.Former, former)
}

// announcedBy returns what the holder of a member, or one that claims to be it,
// said of itself; nil if that is not known.
func (n *Node) announcedBy(id, incarnation uint64) *Return {
	p := n.peers.Value(id)
	if r := p.announced; r != nil && r.Incarnation == incarnation {
		return r
	}
	if c := p.claim; c != nil && c.incarnation == incarnation {
		return c.ret
	}
	return nil
}

// livesAt returns where a process of a member listens; not known, where the
// member does.
func (n *Node) livesAt(m ring.Member, incarnation uint64) (addresses []string, known bool) {
	if r := n.announcedBy(m.ID, incarnation); r != nil {
		return r.Addresses, true
	}
	if incarnation == m.Incarnation {
		return m.Addresses, true
	}
	if l, ok := n.newestReturn(m.ID); ok && l.incarnation == incarnation && len(l.addresses) > 0 {
		return l.addresses, true
	}
	if p := n.peers.Value(m.ID).met; p.incarnation == incarnation {
		return p.addresses, true
	}
	return m.Addresses, false
}

// placeOf returns where a member's process announced that it listens, else where
// the member does; and also where an entry says that is not applied yet: it may have
// moved since.
func (n *Node) placeOf(m ring.Member) []string {
	at := m.Addresses
	if r := n.announcedBy(m.ID, m.Incarnation); r != nil && len(r.Addresses) > 0 {
		at = r.Addresses
	}
	if l, ok := n.newestReturn(m.ID); ok && l.incarnation == m.Incarnation {
		for _, a := range l.addresses {
			if !slices.Contains(at, a) {
				at = append(slices.Clip(at), a)
			}
		}
	}
	return at
}

// newestReturn returns the newest entry that is not applied and gives a member
// another process.
func (n *Node) newestReturn(id uint64) (newest loggedReturn, ok bool) {
	for _, l := range n.identity.logged {
		if l.id == id && l.index > n.applied {
			newest, ok = l, true
		}
	}
	return newest, ok
}
