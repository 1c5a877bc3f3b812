package coordinator

import (
	"time"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// logDelay is how long the log is told later than everybody else: a failover must
// wait neither for a terminal nor for the processor's time that a line takes.
const logDelay = 8 * time.Millisecond

// settle publishes what has become of a turn's steps and carries their effects
// out. What was given up goes first of all: a claim that has ended must not be
// readable any more when the message that gives it up leaves. Then go messages and
// writes, which others wait for, then the view with its events, then what depends
// on the view: a caller finds in the view what its answer says.
//
// Effects leave in the core's order without waiting for the disk: the core
// emits what depends on a Persist only after Persisted.
func (l *loop) settle(now election.Instant) {
	l.withdraw()
	effects := l.core.Effects()
	due := l.deferral.Turn(now, l.core.State(), l.core.LeaderUntil(), effects)
	ahead := aheadOfView(due)
	for _, e := range due[:ahead] {
		l.carryOut(e)
	}
	news := l.publish(now, effects)
	for _, e := range due[ahead:] {
		l.carryOut(e)
	}
	if len(l.toLog) == 0 && len(news) > 0 {
		l.logAt = now.Add(logDelay)
	}
	l.toLog = append(l.toLog, news...)
	if len(l.toLog) > 0 && now >= l.logAt {
		l.tell(l.toLog)
		clear(l.toLog)
		l.toLog = l.toLog[:0]
	}
}

// withdraw publishes that the claim, or the proof that somebody leads, has ended or
// ends sooner, if so.
func (l *loop) withdraw() {
	old := l.hub.Load()
	term, end := l.core.ClaimUntil()
	proven := l.core.LeaderUntil()
	if (old.ClaimTerm == 0 || term == old.ClaimTerm && end >= old.ClaimEnd) && proven >= old.LeaderEnd {
		return
	}
	v := *old
	if term != old.ClaimTerm {
		v.ClaimTerm, v.ClaimEnd = 0, 0
	}
	v.ClaimEnd, v.LeaderEnd = min(v.ClaimEnd, end), min(v.LeaderEnd, proven)
	l.hub.Publish(&v, nil)
}

// aheadOfView returns how many of the effects, from the first on, are carried out
// before the view is published: those that leave the machine or go to its disk, and
// suspicions, which decide how peers are dialled.
func aheadOfView(effects []election.Effect) int {
	for i, e := range effects {
		switch e.(type) {
		case election.Send, election.Persist, election.SuspicionChanged:
		default:
			return i
		}
	}
	return len(effects)
}

// publish makes the view of the present state, with the events that led to it,
// and returns those that belong in the log.
func (l *loop) publish(now election.Instant, effects []election.Effect) (news []*arcv1.Event) {
	old := l.hub.Load()
	v := &publish.View{Phase: l.phase.Load().(publish.Phase), ID: l.id, RingID: l.ringID, Ring: l.core.State(), Status: old.Status}
	if look := l.core.Look(now); look != l.looked {
		v.Status, l.looked = l.core.Status(now), look
	}
	if v.Status.Missing != l.missing {
		l.missing = v.Status.Missing
		if l.missing != "" {
			l.log.Warn("the ring waits: too few of its voters are there", "ring", l.ringID, "reason", l.missing)
		}
	}
	v.ClaimTerm, v.ClaimEnd = l.core.ClaimUntil()
	v.LeaderEnd = l.core.LeaderUntil()
	var events []*arcv1.Event
	add := func(logged bool, more ...*arcv1.Event) {
		events = append(events, more...)
		if logged {
			news = append(news, more...)
		}
	}
	was, known := l.known, l.known.ID != 0
	is, knows := v.Leader(now)
	l.known = is
	if known && (!knows || is.ID != was.ID || v.Ring.Term != old.Ring.Term) {
		add(true, l.events.LeaderLost(old.Ring, was.Name, old.Ring.Term, v.Status.Reason))
		l.lost = old.Ring.Term
	}
	state := old.Ring
	for i, e := range effects {
		switch e := e.(type) {
		case election.Applied:
			changes := e.Changes
			if len(changes) == 0 { // a snapshot from the leader
				changes = publish.Missed(state, e.State)
				l.log.Info("ring state received", "epoch", e.State.Epoch, "term", e.State.Term, "members", len(e.State.Members))
			}
			// A snapshot is no news for the log.
			add(len(e.Changes) > 0, l.events.Changes(e.State, changes)...)
			state = e.State
		case election.ClaimChanged:
			if !blinks(effects, i) {
				add(true, l.events.Claim(state, e))
			}
		case election.SuspicionChanged:
			add(true, l.events.Suspicion(state, e))
		}
	}
	if l.behind {
		events, news = l.catchUp(v, now), nil
	} else if knows && l.lost == v.Ring.Term {
		// No declaration comes twice: the state says that it holds again.
		add(true, l.events.Snapshot(v, now))
	} else if knows && l.hub.Unsure.Load() {
		add(false, l.events.Snapshot(v, now))
	}
	if knows {
		l.lost = 0
		l.hub.Unsure.Store(false)
	}
	l.hub.Publish(v, events)
	if is.ID != was.ID {
		l.hands.published()
	}
	return news
}

// blinks tells whether the change of the claim at effects[i] is undone within
// the same turn: answers that prolong the lease had come in, but the core took
// something else first and saw it run out. The lease counts from when they were
// asked for, so there was no moment without one.
func blinks(effects []election.Effect, i int) bool {
	c, step := effects[i].(election.ClaimChanged), 1
	if c.Claiming {
		step = -1
	}
	for j := i + step; j >= 0 && j < len(effects); j += step {
		if o, ok := effects[j].(election.ClaimChanged); ok {
			return o.Term == c.Term && o.Claiming != c.Claiming
		}
	}
	return false
}

// catchUp replaces the events that lead to v while this node, back in its
// ring, receives what it missed: a watcher knows the older part of that, and
// must not be told a token again, or an older one. Once the state has this node
// as a member, everything that was told is older, and one snapshot says the
// rest.
func (l *loop) catchUp(v *publish.View, now election.Instant) []*arcv1.Event {
	if _, ok := v.Ring.Member(l.id); !ok {
		return nil
	}
	l.behind = false
	l.log.Info("back in the ring", "ring", l.ringID, "id", l.id, "epoch", v.Ring.Epoch, "term", v.Ring.Term, "members", len(v.Ring.Members))
	return []*arcv1.Event{l.events.Snapshot(v, now)}
}

func (l *loop) tell(events []*arcv1.Event) {
	for _, e := range events {
		publish.LogEvent(l.log, e)
	}
}

// relinked tells that the monitor has another target.
func (l *loop) relinked(from, to string, temporary bool) {
	v := *l.hub.Load()
	events := []*arcv1.Event{l.events.Relinked(v.Ring, from, to, temporary)}
	l.hub.Publish(&v, events)
	l.tell(events)
}

func (l *loop) carryOut(e election.Effect) {
	switch e := e.(type) {
	case election.Send:
		l.hands.send(e.Message)
	case election.Persist:
		l.writer.queue <- e
	case election.Probe:
		l.hands.probe(e)
	case election.Done:
		if answer, ok := l.waiting[e.Ref]; ok {
			delete(l.waiting, e.Ref)
			answer <- e
		}
	case election.Relink:
		if from, to := l.hands.relink(e, l.core.State()); from != to {
			l.relinked(from, to, false)
		}
	case election.Applied:
		l.hands.ringChanged(e.State)
	case election.PeersChanged:
		l.hands.peersChanged(e.Peers)
	case election.SuspicionChanged:
		if c := e.Certificate; c != nil {
			l.hands.suspected(c.ID, true)
		} else {
			l.hands.suspected(e.Suspicion.ID, !e.Suspicion.Cleared)
		}
	case election.Inquire:
		l.hands.inquire()
	case election.Removed:
		l.removed = &e
	case election.Refused:
		l.refused(e)
	case election.Superseded:
		l.superseded = &e
	}
}

// refusedPause is how often a sender of nonsense is complained of.
const refusedPause = 10 * time.Second

// refused says which message was dropped and why: at Warn once in a while for
// each sender, since it may be every message of its.
func (l *loop) refused(r election.Refused) {
	now := l.clock()
	last, known := l.complained[r.From]
	if known && now < last.Add(refusedPause) {
		return
	}
	if len(l.complained) >= 64 {
		clear(l.complained)
	}
	l.complained[r.From] = now
	name := publish.NameOf(l.core.State(), r.From)
	l.log.Warn("message from a member dropped, it cannot be true; compare `arc version` on both machines, and whether a data directory was copied or restored",
		"peer", name, "from", r.From, "reason", r.Why)
}

// The inputs by name. Each runs its step on the loop's goroutine.

func (l *loop) deliver(m election.Message) { l.inbox.deliver(m) }

func (l *loop) pinged(p election.Ping) (taken bool) { return l.inbox.pinged(p) }

func (l *loop) report(s election.Suspicion) error {
	return l.inbox.post(func(now election.Instant) { l.core.Report(now, s) })
}

func (l *loop) certify(c election.Certificate) error {
	return l.inbox.post(func(now election.Instant) { l.core.Certify(now, c) })
}

func (l *loop) probed(r election.ProbeResult) {
	l.inbox.must(func(now election.Instant) { l.core.Probed(now, r) })
}

func (l *loop) answered(s election.Standing) {
	l.inbox.must(func(now election.Instant) { l.core.Answered(now, s) })
}

func (l *loop) unreachable(id uint64) {
	_ = l.inbox.post(func(now election.Instant) { l.core.Unreachable(now, id) })
}

// monitorChanged tells the core and the subscribers why the own monitor does not
// run, or (missing is empty) that it does.
func (l *loop) monitorChanged(missing string) {
	l.inbox.must(func(now election.Instant) {
		l.core.MonitorRuns(now, missing == "")
		v := *l.hub.Load()
		l.hub.Publish(&v, []*arcv1.Event{l.events.Monitor(v.Ring, v.ID, missing)})
	})
}

// monitorRelinked tells that the operator sent the monitor elsewhere for a
// while, or that it is back.
func (l *loop) monitorRelinked(from, to string, temporary bool) {
	l.inbox.must(func(election.Instant) { l.relinked(from, to, temporary) })
}
