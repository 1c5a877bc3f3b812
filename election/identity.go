package election

import (
	"bytes"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/arc-ring/arc/ring"
)

// A member's word counts for one process alone, its holder: the one that the
// ring has recorded. A data directory may be copied, and then two processes
// speak for one member. If one voter counted the first and another voter the
// second, two majorities would have nobody in common.
//
// Another process takes the holder's place in one of these ways only:
//
//   - The holder is known to have ended: it is certified dead, or another process
//     of the member answers at the addresses that the ring has recorded, or the
//     host there answers that nobody listens. (A packet filter that rejects a
//     connection, instead of dropping it, looks like that.)
//   - The ring has recorded the other one. The holder's words stop counting as
//     soon as that entry is in the log, those of the other one begin to count
//     when it is applied. So a majority without both of them has to agree.
//   - This member was restarted and has not heard the holder since, and the
//     holder does not answer. That is what a restart of all machines needs.
//   - The two are all voters there are, and the holder does not answer.
//
// A learner's opinion decides nothing. It takes any process, so that a restart
// costs one probe from each voter and not one from each member.
type identity struct {
	// holders are the processes that were heard and count, by member. A member
	// without one has its recorded process as holder.
	holders map[uint64]uint64
	// retired are processes whose words never count again, since when; a
	// certified one as of its certificate.
	retired map[process]Instant
	// quiet is until when votes of a member do not count: its former process
	// may have promised until then, and its present one may not know.
	quiet map[uint64]Instant
	// claims are processes that speak for a member and do not count.
	claims map[uint64]*claim
	// logged are the returns in the log that are not applied.
	logged []loggedReturn
	// restored is the last index of the log at the start.
	restored uint64
	// recorded is true once the ring has recorded this very process.
	recorded bool
	// told are the processes that other members say are this member, since
	// toldSince; toldAt is when a former process of a member was last told such a thing.
	told      map[uint64]uint64
	toldSince Instant
	toldAt    map[uint64]Instant
}

// process is one process of a member.
type process struct{ id, incarnation uint64 }

// claim is what is known of a process that wants to be a member.
type claim struct {
	incarnation uint64
	// heard is when it was last heard of, ret what it announces, vote the newest
	// vote that it asked for.
	heard Instant
	ret   *Return
	vote  *raftpb.Message
	// asked is when the holder was last asked whether it lives, waiting true
	// until it answers.
	asked   Instant
	waiting bool
	// refused is when it was last told that it is not the member.
	refused Instant
}

// loggedReturn is an entry that gives a member another process.
type loggedReturn struct{ index, id, incarnation uint64 }

func newIdentity() identity {
	return identity{holders: map[uint64]uint64{}, retired: map[process]Instant{}, quiet: map[uint64]Instant{}, claims: map[uint64]*claim{}, told: map[uint64]uint64{}, toldAt: map[uint64]Instant{}}
}

// holder returns the incarnation whose words count for a member.
func (n *Node) holder(m ring.Member) uint64 {
	if inc, ok := n.identity.holders[m.ID]; ok {
		return inc
	}
	return m.Incarnation
}

// counts reports whether a message from a process of a member counts, and
// takes note of it. A transport that does not know the process says 0.
func (n *Node) counts(m ring.Member, msg Message) bool {
	i := &n.identity
	incarnation, h := msg.Incarnation, n.holder(m)
	_, certified := n.certs[m.ID]
	switch {
	case incarnation == 0:
		return true
	case n.ended(m.ID, incarnation):
		if at, told := i.toldAt[m.ID]; incarnation != m.Incarnation && (!told || n.now >= at+n.ring.Settings.RenewEvery()) {
			i.toldAt[m.ID] = n.now
			n.tellHeld(m, incarnation, false) // perhaps it lives
		}
		return false
	case incarnation == h && !n.replacedInLog(m.ID, incarnation):
		if !certified {
			i.holders[m.ID] = incarnation
		}
		return !certified
	case incarnation == h:
		return false
	}
	c := n.noteClaim(m, msg)
	switch {
	case n.lead != nil && c.ret == nil:
		return false // what it announces decides
	case c.ret != nil && n.behind(m, *c.ret):
		n.refuseClaim(m, c, true)
		return false
	case n.ended(m.ID, h) || incarnation == m.Incarnation && !n.replacedInLog(m.ID, incarnation) || !n.isVoter(n.cfg.ID):
		n.takeOver(m, incarnation)
		return true
	}
	n.question(m, c)
	return false
}

// noteClaim takes down what a process that does not count says.
func (n *Node) noteClaim(m ring.Member, msg Message) *claim {
	c := n.identity.claims[m.ID]
	if c == nil {
		c = &claim{asked: -Never / 2}
		n.identity.claims[m.ID] = c
	}
	if c.incarnation != msg.Incarnation {
		c.incarnation, c.ret, c.vote = msg.Incarnation, nil, nil
	}
	c.heard = n.now
	if r := msg.Return; r != nil && r.ID == m.ID && r.Incarnation == msg.Incarnation {
		c.ret = r
	}
	if t := msg.Raft.GetType(); msg.Raft != nil && (t == raftpb.MsgVote || t == raftpb.MsgPreVote) {
		c.vote = msg.Raft
	}
	return c
}

// behind reports whether a process was started from a data directory that is
// older than what its member did since: the ring has recorded a process that
// the directory does not know, or its log ends before what the member has
// acknowledged to this leader. One that knows a later term proves nothing by
// that: a later leader may have cut the log.
func (n *Node) behind(m ring.Member, r Return) bool {
	if len(r.Former) > 0 && !slices.Contains(r.Former, m.Incarnation) && r.Incarnation != m.Incarnation {
		return true
	}
	behind := false
	if n.lead != nil {
		n.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
			behind = behind || id == m.ID && r.Term <= n.term && r.Last < pr.Match
		})
	}
	return behind
}

func (n *Node) ended(id, incarnation uint64) bool {
	_, ok := n.identity.retired[process{id, incarnation}]
	return ok
}

// retire notes that a process's words never count again.
func (n *Node) retire(id, incarnation uint64) {
	p := process{id, incarnation}
	if _, known := n.identity.retired[p]; !known {
		n.identity.retired[p] = n.now
	}
}

// takeOver lets another process of a member count from now on.
func (n *Node) takeOver(m ring.Member, incarnation uint64) {
	i := &n.identity
	i.holders[m.ID] = incarnation
	if c := i.claims[m.ID]; c != nil && c.incarnation == incarnation {
		n.heard[m.ID] = max(n.heard[m.ID], c.heard) // silent was the former one
	}
	// What the log gives to former processes says nothing about this one.
	i.logged = slices.DeleteFunc(i.logged, func(l loggedReturn) bool { return l.id == m.ID })
	n.trace("%s speaks as process %x from now on", m.Name, incarnation)
	n.forgetStale(m.ID)
	n.peersChanged()
}

// claimed returns the claim of a process that was heard within a lease.
func (n *Node) claimed(id uint64) (*claim, bool) {
	c, ok := n.identity.claims[id]
	return c, ok && n.now < c.heard+n.ring.Settings.Lease() && !n.ended(id, c.incarnation)
}

// question asks the holder of a member, at the recorded addresses alone, whether
// it lives: another process speaks for it.
func (n *Node) question(m ring.Member, c *claim) {
	pause := n.ring.Settings.RenewEvery()
	if c.waiting {
		pause = 2 * n.probeTimeout()
	}
	if n.now < c.asked+pause {
		return
	}
	c.asked, c.waiting = n.now, true
	n.trace("asks whether process %x of %s lives, since process %x speaks for it", n.holder(m), m.Name, c.incarnation)
	m.Incarnation = n.holder(m)
	p := n.probeOf(m)
	p.Recorded = true
	n.emit(p)
}

// questioned takes the answer to a question. Silence proves nothing.
func (n *Node) questioned(r ProbeResult) {
	m, ok := n.ring.Member(r.ID)
	if !ok {
		m, ok = n.gone[r.ID]
	}
	c := n.identity.claims[r.ID]
	if !ok || c == nil || n.holder(m) != r.Incarnation {
		return
	}
	c.waiting = false
	_, heard := n.identity.holders[m.ID]
	switch {
	case r.Outcome == Answered && r.AnsweredBy == r.Incarnation:
		n.identity.holders[m.ID] = r.Incarnation
		n.refuseClaim(m, c, false)
	case r.Outcome == Answered, r.Outcome == NobodyListens:
		// Two processes cannot listen at one address.
		n.retire(m.ID, r.Incarnation)
		n.admit(m, c)
	case !heard || n.everyMajorityNeedsMe():
		n.admit(m, c)
	}
}

// everyMajorityNeedsMe reports whether this member is one of two voters. Then no
// two majorities can count two processes of the other one.
func (n *Node) everyMajorityNeedsMe() bool {
	return len(n.conf.GetVoters()) == 2 && len(n.conf.GetVotersOutgoing()) == 0 && n.isVoter(n.cfg.ID)
}

// admit lets the process that claims to be a member take its holder's place,
// unless what it announces speaks against it or is not known yet.
func (n *Node) admit(m ring.Member, c *claim) {
	if n.lead != nil && c.ret == nil || c.ret != nil && n.behind(m, *c.ret) || n.ended(m.ID, c.incarnation) {
		return
	}
	n.takeOver(m, c.incarnation)
	n.proposeReturn(m.ID)
	if v := c.vote; v != nil {
		c.vote = nil
		n.receiveRaft(m.ID, v)
	}
}

// proposeReturn lets a leader record the process that speaks for a member.
func (n *Node) proposeReturn(id uint64) {
	c, ok := n.claimed(id)
	if !ok || c.ret == nil || n.lead == nil || !n.declared() {
		return
	}
	n.proposeOnce(proposalKey{kind: "return", id: id}, ring.Command{Return: &c.ret.Return})
}

// refuseClaim tells a process that it is not the member: the holder lives, or its
// data directory is behind what the member did.
func (n *Node) refuseClaim(m ring.Member, c *claim, behind bool) {
	if pause := n.ring.Settings.RenewEvery(); n.now < c.refused+pause {
		return
	}
	c.refused = max(n.now, 1)
	n.trace("refuses process %x of %s: process %x is the member at %v (behind: %v)", c.incarnation, m.Name, n.holder(m), m.Addresses, behind)
	n.tellHeld(m, c.incarnation, behind)
}

func (n *Node) tellHeld(m ring.Member, incarnation uint64, behind bool) {
	n.send(Message{To: m.ID, Held: &Held{RingID: n.ring.RingID, ID: m.ID, Incarnation: incarnation, By: n.holder(m), Addresses: m.Addresses, Behind: behind}})
}

// heldBy takes another member's word that this process is not the member. A
// process that the ring has not recorded believes the first one: that member has
// just heard the other process. One that the ring has recorded can be out only
// by a committed entry, so the others have to agree.
func (n *Node) heldBy(from uint64, h Held) {
	if h.ID != n.cfg.ID || h.Incarnation != n.cfg.Incarnation || h.By == h.Incarnation || h.RingID != n.ring.RingID {
		return
	}
	if _, ok := n.ring.Member(from); !ok {
		return
	}
	if n.identity.recorded {
		if len(n.identity.told) == 0 {
			n.identity.toldSince = n.now
		}
		n.identity.told[from] = h.By
		if !n.agreed(h.By) {
			n.announce(n.ring.Settings.RenewEvery()) // the others say what they know
			return
		}
	}
	n.supersede(Superseded{By: h.By, Addresses: slices.Clone(h.Addresses), Behind: h.Behind})
}

// agreed reports whether enough other voters say that another process is this
// member. A majority of them is enough. So are all that can be reached, if no
// leader has been heard for long: the others may have left the ring since.
func (n *Node) agreed(by uint64) bool {
	others, agree, objects := n.otherVoters(), 0, false
	lease := n.ring.Settings.Lease()
	for _, id := range others {
		at, heard := n.heard[id]
		switch {
		case n.identity.told[id] == by:
			agree++
		case heard && n.now < at+lonelyAfter*lease:
			objects = true
		}
	}
	alone := n.lead == nil && n.now >= n.leaderHeard+lonelyAfter*lease && n.now >= n.identity.toldSince+2*lease
	return agree > len(others)/2 || alone && !objects
}

// supersede ends this process's part in the ring: another one is the member, or
// this one's log lost what the member had acknowledged. It stops acting first,
// and the owner then says so.
func (n *Node) supersede(s Superseded) {
	if n.removed {
		return
	}
	n.end(ErrSuperseded)
	n.trace("superseded by process %x at %v (behind: %v)", s.By, s.Addresses, s.Behind)
	n.emit(s)
}

// recordChange follows up on a member's process that the log gives at index.
func (n *Node) recordChange(index uint64, was, is ring.Member) {
	i := &n.identity
	switch {
	case is.ID == n.cfg.ID:
		return // see checkRecorded
	case was.Incarnation == is.Incarnation:
		return
	}
	n.retire(is.ID, was.Incarnation)
	if n.lead != nil && n.holder(was) != is.Incarnation {
		// Silence let it in, not a proof. Who was silent may still be bound, and
		// who came does not know to what.
		delete(n.lead.renewals.acked, is.ID)
		i.quiet[is.ID] = n.now + max(n.ring.Settings.Lease(), n.voter.bound)
	}
	h, heard := i.holders[is.ID]
	switch {
	case heard && h != was.Incarnation && (index <= i.restored || n.ended(is.ID, is.Incarnation)):
		// The entry is older than what this member has found out.
	case index > i.restored:
		i.holders[is.ID] = is.Incarnation // somebody has heard it in this life
	default:
		delete(i.holders, is.ID)
	}
	n.forgetStale(is.ID)
}

// checkRecorded notes that the ring has recorded this process, or another one
// after it.
func (n *Node) checkRecorded() {
	me, ok := n.ring.Member(n.cfg.ID)
	switch {
	case !ok:
	case me.Incarnation == n.cfg.Incarnation:
		n.identity.recorded = true
	case n.identity.recorded:
		n.supersede(Superseded{By: me.Incarnation, Addresses: slices.Clone(me.Addresses)})
	}
}

// forgetIdentity drops what is known of the processes of a former member.
func (n *Node) forgetIdentity() {
	i := &n.identity
	known := func(id uint64) bool {
		_, ok := n.ring.Member(id)
		return ok || n.needed(id)
	}
	for id := range i.holders {
		if !known(id) {
			delete(i.holders, id)
		}
	}
	for id := range i.claims {
		if !known(id) {
			delete(i.claims, id)
		}
	}
	for id := range i.toldAt {
		if !known(id) {
			delete(i.toldAt, id)
		}
	}
	for id := range i.quiet {
		if !known(id) {
			delete(i.quiet, id)
		}
	}
	for p := range i.retired {
		if !known(p.id) {
			delete(i.retired, p)
		}
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
		if e.GetType() != raftpb.EntryNormal || !bytes.Contains(e.GetData(), []byte(`"return"`)) {
			continue
		}
		if c, err := ring.DecodeCommand(e.GetData()); err == nil && c.Return != nil {
			i.logged = append(i.logged, loggedReturn{e.GetIndex(), c.Return.ID, c.Return.Incarnation})
		}
	}
}

// replacedInLog reports whether an entry of this member's log gives the place of
// a process to another one.
func (n *Node) replacedInLog(id, incarnation uint64) bool {
	replaced := false
	for _, l := range n.identity.logged {
		if l.id == id && l.index > n.applied {
			replaced = l.incarnation != incarnation
		}
	}
	return replaced
}
