package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// A leader whose lease has ended and that cannot renew it may have lost its
// majority. Those whom it still reaches must not stay bound to it, since the
// others may need their votes. So it falls silent: it releases the voters,
// sends no renewals, heartbeats or appends, and only asks for signs of life.
// When a majority answers, it renews again in the same term. When somebody
// asks for its vote first, it gives up its term.

// lapse is the time in which a leader has no lease.
type lapse struct {
	// since is when the lease ended; 0 while it runs.
	since Instant
	// silent is when the leader fell silent; 0 if it did not.
	silent  Instant
	nextAsk Instant
	// until is when the lease must be back after a majority answered; 0 before.
	until Instant
}

// lapseRule follows the lease. It reports whether the leader may renew.
func (n *Node) lapseRule() bool {
	l := n.lead
	s := n.ring.Settings
	if n.now < n.leaseEnd() {
		l.lapse = lapse{}
		return true
	}
	if l.lapse.since == 0 {
		// A new leader has not had its first answers yet.
		if first := l.renewals.first.Add(s.Lease()); l.renewals.first == 0 || n.now < first && !l.renewals.held {
			return true
		}
		l.lapse = lapse{since: n.now}
	}
	if l.lapse.until != 0 {
		if n.now < l.lapse.until {
			n.wakeAt(l.lapse.until)
			return true
		}
		// A majority answers, but not in time for a lease.
		n.stepAside()
		n.gaveUpAt = n.now
		return false
	}
	if l.lapse.silent == 0 {
		// A short stop of this process or its network ends the lease, too. The
		// answers are on their way then.
		if end := l.lapse.since.Add(s.Stagger()); n.now < end {
			n.wakeAt(end)
			return true
		}
		n.fallSilent()
	}
	if n.majorityHeardSince(l.lapse.silent) {
		n.trace("a majority answers again")
		l.lapse = lapse{since: n.now, until: n.now.Add(s.Lease())}
		l.renewals.next, l.nextTick = n.now, n.now
		n.wakeAt(l.lapse.until)
		return true
	}
	if n.now >= l.lapse.nextAsk {
		l.lapse.nextAsk = n.now.Add(s.RenewEvery() / 2)
		n.askVoters()
	}
	n.wakeAt(l.lapse.nextAsk)
	return false
}

// lostRule lets a leader that has not declared itself give up after a lease in which
// no majority answered it: those that it still reaches would wait for it. So it does
// if a majority answers and promises, but commits nothing, and somebody else may reach
// more voters. If their disks are slow, that helps nothing, so its patience grows with
// each time. Nobody reaches the certified dead. It reports whether it gave up.
func (n *Node) lostRule() bool {
	l, s := n.lead, n.ring.Settings
	if l.advanced == 0 || n.commit > l.committed || n.lastIndex() == n.commit {
		l.advanced, l.committed = max(n.now, 1), n.commit
	}
	if n.declared() {
		return false
	}
	lately := n.now.Add(-s.Lease())
	voters := n.conf.GetVoters()
	unheard := slices.ContainsFunc(voters, func(id uint64) bool {
		return n.peers.Value(id).cert == nil && n.heardSince([]uint64{id}, lately) == 0
	})
	stalled := unheard && n.now >= l.advanced.Add(s.Lease()<<min(n.stalls, mostStalls))
	if n.now < l.since.Add(s.Lease()) || !stalled && n.majorityHeardSince(lately) {
		return false // its heartbeats come back here
	}
	if stalled {
		n.stalls++
	}
	n.stepAside()
	return true
}

// mostStalls bounds how often the patience of lostRule doubles.
const mostStalls = 4

// fallSilent voids all promises that this leader was given.
func (n *Node) fallSilent() {
	l := n.lead
	n.trace("falls silent: its lease ended, and too few voters answer")
	l.lapse.silent, l.lapse.nextAsk = n.now, n.now
	l.voidPromises()
}

// askVoters releases the voters that this leader still reaches and asks all of
// them for a sign of life. Either message may be lost, so both are repeated.
func (n *Node) askVoters() {
	for _, id := range n.otherVoters() {
		n.send(Message{To: id, Release: n.release(true)})
		n.send(Message{To: id, Check: &Check{}})
	}
}

// release voids every promise that was given to this leader until now.
func (n *Node) release(lapsed bool) *Release {
	return &Release{Term: n.term, Seq: n.lead.renewals.ignoreUpTo, ID: n.cfg.ID, Incarnation: n.cfg.Incarnation, Lapsed: lapsed}
}

// silent reports whether this member leads in raft's eyes, but has fallen
// silent.
func (n *Node) silent() bool { return n.lead != nil && n.lead.lapse.silent != 0 }

// muted reports whether a message of raft's is kept back: one that would pass
// for a sign of a leader, while this member is none or has fallen silent. Raft
// takes it for lost.
func (n *Node) muted(m *raftpb.Message) bool {
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		return n.lead == nil || n.silent()
	}
	return false
}

// giveUp ends a leadership in raft, too, so that this member can vote, and releases those that have promised it something since it last did.
// Raft's leader steps down when no majority was active between two of its
// quorum checks; no message comes in here between them.
func (n *Node) giveUp() {
	n.trace("gives up term %d", n.term)
	n.lead.voidPromises()
	for _, id := range n.otherVoters() {
		n.send(Message{To: id, Release: n.release(true)})
	}
	for i := 0; i < 2*electionTicks && n.rn.BasicStatus().RaftState == raft.StateLeader; i++ {
		n.rn.Tick()
	}
	n.refresh()
	n.leaderHeard = n.now.Add(-n.patience())
}

// stepAside gives up and lets the others campaign first, since one of them may
// have a better network or disk. They begin half a renewal after the release.
func (n *Node) stepAside() {
	s := n.ring.Settings
	n.giveUp()
	n.campaign.yieldUntil = max(n.campaign.yieldUntil, n.now.Add(s.RenewEvery()/2).Add(s.Stagger()*time.Duration(len(n.conf.GetVoters()))))
}

// lapsedLately reports whether this member led a moment ago and could not keep
// a lease although a majority answered it. If somebody else may lead, that one is
// to try.
func (n *Node) lapsedLately() bool {
	return n.gaveUpAt != 0 && n.now < n.gaveUpAt.Add(8*n.ring.Settings.Lease())
}

// majorityHeardSince reports whether a majority of the configuration, of both
// halves while it is joint, was heard after an instant. This member counts.
func (n *Node) majorityHeardSince(since Instant) bool {
	heard := func(voters []uint64) bool {
		k := n.heardSince(voters, since)
		return k > len(voters)/2
	}
	out := n.conf.GetVotersOutgoing()
	return heard(n.conf.GetVoters()) && (len(out) == 0 || heard(out))
}

// heardSince counts the voters that were heard after an instant, and this one.
func (n *Node) heardSince(voters []uint64, since Instant) int {
	k := 0
	for _, id := range voters {
		if heard := n.peers.Value(id).heard; id == n.cfg.ID || heard.set && heard.at > since {
			k++
		}
	}
	return k
}
