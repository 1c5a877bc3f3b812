package loop

import (
	"cmp"
	"fmt"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// settle publishes what has become of a turn's steps and carries their effects
// out. What was given up goes first of all: a claim that has ended must not be
// readable any more when the message that gives it up leaves. Then go messages and
// writes, which others wait for, then the view with its events, then what depends
// on the view: a caller finds in the view what its answer says.
//
// Effects leave in the core's order without waiting for the disk: the core
// emits what depends on a Persist only after Persisted.
func (l *Loop) settle(now election.Instant) {
	l.withdraw()
	effects := l.o.Core.Effects()
	due := l.deferral.Turn(now, l.o.Core.State(), l.o.Core.LeaderUntil(), effects)
	ahead := aheadOfView(due)
	for _, e := range due[:ahead] {
		l.carryOut(e)
	}
	logged := l.publish(now, effects, due)
	for _, e := range due[ahead:] {
		l.carryOut(e)
	}
	if len(l.toLog) == 0 && len(logged) > 0 {
		// A failover must wait neither for a terminal nor for the processor's time
		// that a line takes.
		l.logAt = now.Add(durations.Deferral)
	}
	l.toLog = append(l.toLog, logged...)
	if len(l.toLog) > 0 && now >= l.logAt {
		l.tell(l.toLog)
		clear(l.toLog)
		l.toLog = l.toLog[:0]
	}
}

// withdraw publishes that the claim, or the proof that somebody leads, has ended or
// ends sooner, if so.
func (l *Loop) withdraw() {
	old := l.o.Hub.Load()
	term, end := l.o.Core.ClaimUntil()
	proven := l.o.Core.LeaderUntil()
	if (old.ClaimTerm == 0 || term == old.ClaimTerm && end >= old.ClaimEnd) && proven >= old.LeaderEnd {
		return
	}
	v := *old
	if term != old.ClaimTerm {
		v.ClaimTerm, v.ClaimEnd = 0, 0
	}
	v.ClaimEnd, v.LeaderEnd = min(v.ClaimEnd, end), min(v.LeaderEnd, proven)
	l.o.Hub.Publish(&v, nil)
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

// publish makes the view of the present state, with the events of effects that
// led to it, and of new links among those that are due. It returns what writes the lines
// that belong in the log.
func (l *Loop) publish(now election.Instant, effects, due []election.Effect) (logged []func()) {
	old := l.o.Hub.Load()
	v := &publish.View{Phase: l.phase.Load().(publish.Phase), ID: l.o.ID, RingID: l.o.RingID, Ring: l.o.Core.State(), Status: old.Status}
	if version := l.o.Core.StatusVersion(now); version != l.version {
		v.Status, l.version = l.o.Core.Status(now), version
	}
	l.logDisk(old.Status.DiskHangs, v.Status.DiskHangs)
	v.ClaimTerm, v.ClaimEnd = l.o.Core.ClaimUntil()
	v.LeaderEnd = l.o.Core.LeaderUntil()
	var events []*arcv1.Event
	add := func(log bool, more ...*arcv1.Event) {
		events = append(events, more...)
		for _, e := range more {
			if log {
				logged = append(logged, func() { publish.LogEvent(l.o.Log, e) })
			}
		}
	}
	was, known := l.known, l.known.ID != 0
	is, knows := v.Leader(now)
	l.known = is
	l.logMissing(v.Status.Missing, knows)
	if known && (!knows || is.ID != was.ID || v.Ring.Term != old.Ring.Term) {
		add(true, l.o.Events.LeaderLost(old.Ring, was.Name, old.Ring.Term, cmp.Or(v.Status.Lost, v.Status.Reason)))
		l.lost = old.Ring.Term
	}
	state := old.Ring
	for _, e := range effects {
		switch e := e.(type) {
		case election.Applied:
			changes := e.Changes
			if len(changes) == 0 { // a snapshot from the leader
				changes = publish.Missed(state, e.State)
				l.o.Log.Info("ring state received", "epoch", e.State.Epoch, "term", e.State.Term, "members", len(e.State.Members))
			}
			// What a snapshot brings is not logged.
			add(len(e.Changes) > 0, l.o.Events.Changes(e.State, changes)...)
			if from, to := state.Settings, e.State.Settings; state.RingID != "" && len(e.Changes) > 0 && from != to {
				logged = append(logged, func() { publish.LogSettings(l.o.Log, e.State.Epoch, from, to) })
			}
			state = e.State
		case election.ClaimChanged:
			add(true, l.o.Events.Claim(state, e))
		case election.SuspicionChanged:
			add(true, l.o.Events.Suspicion(state, e))
		}
	}
	if l.catchingUp {
		events, logged = l.catchUp(v, now), nil
	} else if knows && l.lost == v.Ring.Term {
		// No declaration comes twice: the state says that it holds again.
		add(true, l.o.Events.Snapshot(v, now))
	} else if knows && l.o.Hub.Unsure.Load() {
		add(false, l.o.Events.Snapshot(v, now))
	}
	for _, e := range due {
		if r, ok := e.(election.Relink); ok {
			if from, to := l.o.Target(), targetOf(r); from != to {
				add(true, l.o.Events.Relinked(v.Ring, from, to, false))
			}
		}
	}
	if knows {
		l.lost = 0
		l.o.Hub.Unsure.Store(false)
	}
	l.o.Hub.Publish(v, events)
	if is.ID != was.ID {
		l.o.Published()
	}
	return logged
}

// missingLogged bounds the reasons for which the ring waits that are known to be logged.
const missingLogged = 64

// logMissing logs whom the ring waits for: each reason once until somebody leads again.
// Who is heard may come and go meanwhile.
func (l *Loop) logMissing(missing string, led bool) {
	if led || len(l.missing) >= missingLogged {
		clear(l.missing)
	}
	if missing == "" || l.missing[missing] {
		return
	}
	l.missing[missing] = true
	l.o.Log.Warn("the ring waits: too few of its voters are there", "ring", l.o.RingID, "reason", missing)
}

func (l *Loop) logDisk(hung, hangs bool) {
	switch {
	case hangs && !hung:
		l.o.Log.Warn("the disk does not finish a write: this node does not lead until it does", "ring", l.o.RingID)
	case hung && !hangs:
		l.o.Log.Info("the disk has finished the write", "ring", l.o.RingID)
	}
}

// catchUp replaces the events that lead to v while this node, back in its ring,
// receives what it missed. A subscriber knows the older part of that, and must not
// see a token again, or an older one. Once the state has this node as a member,
// every earlier event is older, and one snapshot brings the rest.
func (l *Loop) catchUp(v *publish.View, now election.Instant) []*arcv1.Event {
	if _, ok := v.Ring.Member(l.o.ID); !ok {
		return nil
	}
	l.catchingUp = false
	l.o.Log.Info("back in the ring", "ring", l.o.RingID, "id", l.o.ID, "epoch", v.Ring.Epoch, "term", v.Ring.Term, "members", len(v.Ring.Members))
	return []*arcv1.Event{l.o.Events.Snapshot(v, now)}
}

func (l *Loop) tell(lines []func()) {
	for _, line := range lines {
		line()
	}
}

// targetOf is the name of whom a link has the monitor probe, "" if nobody.
func targetOf(r election.Relink) string {
	if len(r.Successors) == 0 {
		return ""
	}
	return r.Successors[0].Name
}

// tellNow publishes an event that changes no view.
func (l *Loop) tellNow(event func(*ring.State) *arcv1.Event) *arcv1.Event {
	v := *l.o.Hub.Load()
	e := event(v.Ring)
	l.o.Hub.Publish(&v, []*arcv1.Event{e})
	return e
}

func (l *Loop) carryOut(e election.Effect) {
	switch e := e.(type) {
	case election.Persist:
		l.writer.queue <- e
	case election.Done:
		if answer, ok := l.waiting[e.Ref]; ok {
			delete(l.waiting, e.Ref)
			answer <- e
		}
	case election.Removed:
		l.over = fmt.Errorf("%w at epoch %d: %s", election.ErrRemoved, e.Epoch, e.Why)
		if e.Unborn {
			l.over = fmt.Errorf("%w: %w: %s", election.ErrRemoved, ErrUnborn, e.Why)
		}
	case election.Refused:
		l.refused(e)
	case election.Superseded:
		l.over = &SupersededError{e}
	default:
		l.o.CarryOut(e)
	}
}

// refused says which message was dropped and why: at Warn once in a while for
// each sender, since it may be every message of its.
func (l *Loop) refused(r election.Refused) {
	now := l.o.Clock()
	last, known := l.complained[r.From]
	if known && now < last.Add(durations.Repeats) {
		return
	}
	if len(l.complained) >= 64 {
		clear(l.complained)
	}
	l.complained[r.From] = now
	name := publish.NameOf(l.o.Core.State(), r.From)
	l.o.Log.Warn("message from a member dropped, it cannot be true; compare `arc version` on both machines, and whether a data directory was copied or restored",
		"peer", name, "from", r.From, "reason", r.Why)
}

// The inputs by name. Each runs its step on the loop's goroutine.

// Deliver hands a member's message over. The oldest is dropped when too many wait.
func (l *Loop) Deliver(m election.Message) {
	_ = l.inbox.put(item{kind: isMessage, message: m}, messagesKept)
}

// Pinged hands a watcher's ping over. One that is not taken must not be answered.
func (l *Loop) Pinged(p election.Ping) (taken bool) {
	return l.inbox.put(item{kind: isPing, ping: p}, pingsKept) == nil
}

// Report hands over what the own monitor says of its target.
func (l *Loop) Report(s ring.Opinion) error {
	return l.inbox.post(func(now election.Instant) { l.o.Core.Report(now, s) })
}

// Certify hands a death certificate over.
func (l *Loop) Certify(c election.Certificate) error {
	return l.inbox.post(func(now election.Instant) { l.o.Core.Certify(now, c) })
}

// Probed hands over what came of a probe that the core asked for.
func (l *Loop) Probed(r election.ProbeResult) {
	l.inbox.postUnbounded(func(now election.Instant) { l.o.Core.Probed(now, r) })
}

// Answered hands over what another member says of this one.
func (l *Loop) Answered(s election.Standing) {
	l.inbox.postUnbounded(func(now election.Instant) { l.o.Core.Answered(now, s) })
}

// Readdress tells the core where this node is reached now.
func (l *Loop) Readdress(addresses []string) {
	l.inbox.postUnbounded(func(now election.Instant) { l.o.Core.Readdress(now, addresses) })
}

// Evicted takes a notice that this node is no member any more, said at an address
// of the member that it is from. The core asks others before it believes that. One
// to another id is not taken.
func (l *Loop) Evicted(m election.Message) {
	if m.To == l.o.ID {
		l.inbox.postUnbounded(func(now election.Instant) { l.o.Core.Receive(now, m) })
	}
}

// Announce tells subscribers of an event that is not the core's doing.
func (l *Loop) Announce(event func(*ring.State) *arcv1.Event) {
	l.inbox.postUnbounded(func(election.Instant) { l.tellNow(event) })
}

// Do calls f on the loop's goroutine, so that a loop that hangs is seen to.
func (l *Loop) Do(f func()) error {
	return l.inbox.post(func(election.Instant) { f() })
}

// Unreachable says that messages to a member may have been lost.
func (l *Loop) Unreachable(id uint64) {
	_ = l.inbox.post(func(now election.Instant) { l.o.Core.Unreachable(now, id) })
}

// MonitorMissing tells the core that the own monitor does not run, when the
// membership begins so.
func (l *Loop) MonitorMissing() {
	l.inbox.postUnbounded(func(now election.Instant) { l.o.Core.MonitorRuns(now, false) })
}

// MonitorChanged tells the core and the subscribers why the own monitor does not
// run, or (missing is empty) that it does.
func (l *Loop) MonitorChanged(missing string) {
	l.inbox.postUnbounded(func(now election.Instant) {
		l.o.Core.MonitorRuns(now, missing == "")
		l.tellNow(func(s *ring.State) *arcv1.Event { return l.o.Events.Monitor(s, l.o.ID, missing) })
	})
}

// MonitorRelinked tells that the operator sent the monitor elsewhere for a
// while, or that it is back.
func (l *Loop) MonitorRelinked(from, to string, temporary bool) {
	l.inbox.postUnbounded(func(election.Instant) {
		publish.LogEvent(l.o.Log, l.tellNow(func(s *ring.State) *arcv1.Event { return l.o.Events.Relinked(s, from, to, temporary) }))
	})
}
