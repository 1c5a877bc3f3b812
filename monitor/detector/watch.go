package detector

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

const (
	// MaxWatched bounds how many members are probed at a time.
	MaxWatched = 16
	// lingerIntervals is for how many intervals a member that need not be
	// looked at any more is still probed, so that a link which loses a probe
	// now and then does not cost a connection each time.
	lingerIntervals = 10
	// clearRepeats is how often a cleared suspicion is told, one interval
	// apart: unlike a suspicion it does not last, and a report may be lost.
	clearRepeats = 3
)

// Target is a member to look at.
type Target struct {
	ID, Incarnation uint64
	Name            string
	Addresses       []string
}

// Link is what a Watch is given: whom to look at and how often.
type Link struct {
	Epoch, Term uint64
	// Targets in ring order, nearest first; empty in a ring of one.
	Targets []Target
	// Leader is the id of the member whose link has its own timing.
	Leader         uint64
	LeaderTiming   Config
	OrdinaryTiming Config
	// GrantLength is for how long after a pong this monitor does not testify
	// against the leader; 0 gives no grants.
	GrantLength time.Duration
	// Detour, unless nil, is looked at in place of the first of Targets, for
	// DetourFor; then the watch goes back by itself. The others come after it.
	Detour    *Target
	DetourFor time.Duration
}

// Kind is what an Action asks for.
type Kind string

const (
	// Open connections to the target, at all of its addresses.
	Open Kind = "open"
	// Close them.
	Close Kind = "close"
	// Move: the target has other addresses. Connections at those that it keeps
	// stay, and so does what is known about it.
	Move Kind = "move"
	// Ping with number Seq.
	Ping Kind = "ping"
	// Say what is thought of the target. A suspicion is repeated every interval while
	// it lasts, and a few times that it is taken back. A doubt says that the leader
	// missed a first probe, or that its stream broke; only where grants are given.
	Say Kind = "say"
)

// Action is what the owner of a Watch has to do.
type Action struct {
	Kind   Kind
	Target Target
	// Seq is the number of a Ping.
	Seq uint64
	// Grant of a Ping is the number of the word given to the leader, Length how
	// long it binds, Ack the newest pong that came under it; 0 if none is given.
	Grant, Ack uint64
	Length     time.Duration
	// Opinion of a Say, but for whose it is, and Reason, which explains it.
	Opinion ring.Opinion
	Reason  Reason
	// Repeat is true if the same was reported before.
	Repeat bool
}

type watched struct {
	target Target
	det    *Detector
	// closeAt is when it may be closed, since nobody before it is in doubt; 0
	// while it is needed.
	closeAt mono.Instant
	// clears is how often Cleared has still to be told.
	clears int
	// foreignTold: that somebody else answers in its place was reported in the
	// present epoch.
	foreignTold bool
	doubted     bool
}

// Watch looks at the successor and, while that one is in doubt, at the members
// after it, so that members that die together cost one detection time. Make
// one with NewWatch. The actions that a method returns are valid until the
// next call.
type Watch struct {
	link Link
	// targets are whom to look at now, in order: the link's, or its detour first.
	targets []Target
	// detourEnd is when the detour is over; mono.Never if there is none.
	detourEnd mono.Instant

	term    uint64
	grant   grant
	open    []*watched
	actions []Action
}

// NewWatch returns a watch that looks at nobody until Relink. Grants are
// numbered from grants on: a random number, since none may ever be used twice.
func NewWatch(grants uint64) *Watch {
	return &Watch{grant: grant{number: grants >> 1}, detourEnd: mono.Never}
}

// Relink changes whom to look at. A member that is looked at already, in the
// same incarnation, keeps its connections and what is known about it.
func (w *Watch) Relink(now mono.Instant, l Link) []Action {
	w.actions = w.actions[:0]
	newEpoch := l.Epoch != w.link.Epoch
	w.link = l
	w.term = max(w.term, l.Term)
	w.targets, w.detourEnd = l.Targets, mono.Never
	if l.Detour != nil && l.DetourFor > 0 {
		others := slices.DeleteFunc(slices.Clone(l.Targets), func(t Target) bool { return t.ID == l.Detour.ID })
		w.targets, w.detourEnd = append([]Target{*l.Detour}, others...), now.Add(l.DetourFor)
	}
	w.retarget(now, newEpoch)
	return w.actions
}

// retarget keeps of those who are looked at whom the targets have too, and turns
// to the others.
func (w *Watch) retarget(now mono.Instant, newEpoch bool) {
	kept := make([]*watched, 0, len(w.open))
	for _, t := range w.targets {
		i := slices.IndexFunc(w.open, func(o *watched) bool { return o.target.ID == t.ID && o.target.Incarnation == t.Incarnation })
		if i < 0 {
			// Beyond a gap nobody can be kept: they are looked at in order.
			break
		}
		o := w.open[i]
		moved := !slices.Equal(o.target.Addresses, t.Addresses)
		o.target = t
		if moved {
			w.act(o, Action{Kind: Move})
			w.report(now, o, 0, o.det.Moved(now))
		}
		o.foreignTold = o.foreignTold && !newEpoch
		o.det.Configure(now, w.Timing(t.ID))
		kept = append(kept, o)
	}
	for _, o := range w.open {
		if !slices.Contains(kept, o) {
			w.act(o, Action{Kind: Close})
		}
	}
	w.open = kept
	w.extend(now)
}

// Detour returns whom the watch looks at in place of its first target; its ID is 0
// if the watch is on no detour.
func (w *Watch) Detour() (t Target) {
	if w.detourEnd != mono.Never {
		t = w.targets[0]
	}
	return t
}

// Tick does what is due now.
func (w *Watch) Tick(now mono.Instant) []Action {
	w.actions = w.actions[:0]
	if now >= w.detourEnd {
		w.targets, w.detourEnd = w.link.Targets, mono.Never
		w.retarget(now, false)
	}
	for _, o := range w.open {
		if now >= o.det.next {
			ping, changed := o.det.Tick(now)
			w.act(o, w.probe(o, ping))
			w.report(now, o, ping, changed)
			w.doubt(now, o)
		}
		if now >= w.testifyAt(o) {
			w.act(o, w.suspicion(now, o, true))
		}
	}
	w.extend(now)
	w.shrink(now)
	return w.actions
}

// about takes what is new of a target: do says it to the target's detector.
func (w *Watch) about(now mono.Instant, id uint64, do func(o *watched)) []Action {
	w.actions = w.actions[:0]
	if o := w.find(id); o != nil {
		do(o)
		w.extend(now)
	}
	return w.actions
}

// Pong takes the answer of the target itself.
func (w *Watch) Pong(now mono.Instant, id, seq, term uint64) []Action {
	w.term = max(w.term, term)
	return w.about(now, id, func(o *watched) {
		w.ponged(now, o, seq)
		o.doubted = false
		w.report(now, o, 0, o.det.Pong(now, seq))
	})
}

// Foreign says that another process has the target's place: one of its name
// answers, and no address may still lead to the target.
func (w *Watch) Foreign(now mono.Instant, id uint64) []Action {
	return w.about(now, id, func(o *watched) { w.report(now, o, 0, o.det.Foreign()) })
}

// Broken says that the last stream to the target broke.
func (w *Watch) Broken(now mono.Instant, id uint64) []Action {
	return w.about(now, id, func(o *watched) {
		o.det.Broken(now)
		w.report(now, o, 0, false)
		w.doubt(now, o)
	})
}

// Refused says that all addresses of the target refused the connection.
func (w *Watch) Refused(now mono.Instant, id uint64) []Action {
	return w.about(now, id, func(o *watched) {
		before := o.det.evidence
		changed := o.det.Refused()
		if before != "" && before != o.det.evidence {
			// Better evidence for an old suspicion is worth telling at once.
			w.act(o, w.suspicion(now, o, true))
		}
		w.report(now, o, 0, changed)
	})
}

// Due reports whether the next Tick judges a probe of the target that is not
// answered.
func (w *Watch) Due(now mono.Instant, id uint64) bool {
	o := w.find(id)
	return o != nil && now >= o.det.next && o.det.seq > o.det.acked
}

// Excuse says that the caller cut the target's streams itself, or did not get to
// send the newest probe or to read what came after it. It is not held against the
// target.
func (w *Watch) Excuse(id uint64) {
	if o := w.find(id); o != nil {
		o.det.excuse = true
	}
}

// NextTick returns when Tick wants to be called, mono.Never while nobody is looked
// at.
func (w *Watch) NextTick() mono.Instant {
	at := w.detourEnd
	for _, o := range w.open {
		at = min(at, o.det.next, w.testifyAt(o))
	}
	return at
}

// Newest returns the target's newest probe as a Ping, with Seq 0 if there is
// none: what to send on a stream that came up between two ticks.
func (w *Watch) Newest(id uint64) Action {
	if o := w.find(id); o != nil {
		return w.probe(o, o.det.seq)
	}
	return Action{}
}

// Front returns the first target, whom this monitor has to look at; its ID is 0 in
// a ring of one.
func (w *Watch) Front() (t Target) {
	if len(w.open) > 0 {
		t = w.open[0].target
	}
	return t
}

// Ran returns the run of unanswered probes that the last Pong of the target ended.
func (w *Watch) Ran(id uint64) Run {
	if o := w.find(id); o != nil {
		return o.det.ran
	}
	return Run{}
}

// Timing returns the timing of the target's link.
func (w *Watch) Timing(id uint64) Config {
	if id == w.link.Leader {
		return w.link.LeaderTiming
	}
	return w.link.OrdinaryTiming
}

// Watches reports whether the target is looked at.
func (w *Watch) Watches(id uint64) bool { return w.find(id) != nil }

// report says what has to be said of a target after its detector was called: ping
// is the probe that is due, and changed is true if a suspicion began or ended.
func (w *Watch) report(now mono.Instant, o *watched, ping uint64, changed bool) {
	suspect := o.det.state == Suspect
	switch {
	case o.det.Replaced():
		// Told once an epoch: the ring is about to learn of the newcomer by
		// itself, if it lives.
		if !o.foreignTold {
			o.foreignTold = true
			w.act(o, say(ring.Suspect{Evidence: o.det.evidence}, o.det.Reason(now), !changed))
		}
	case suspect && o.closeAt != 0:
		// All before it are well: whether it lives is its own watcher's
		// business. It is told if they are in doubt again.
	case suspect && (changed || ping != 0):
		o.clears = 0
		w.act(o, w.suspicion(now, o, !changed))
	case changed:
		o.clears = clearRepeats - 1
		w.act(o, say(ring.Clear{}, o.det.cleared, false))
	case ping != 0 && o.clears > 0:
		o.clears--
		w.act(o, say(ring.Clear{}, o.det.cleared, true))
	}
}

// suspicion says that the target is suspected. Of a leader it says so too if a
// grant has ended.
func (w *Watch) suspicion(now mono.Instant, o *watched, repeat bool) Action {
	e, r := o.det.evidence, o.det.Reason(now)
	if g := w.testify(now, o); g != 0 {
		return say(ring.GrantExpired{Grant: g, Evidence: e}, r, repeat)
	}
	return say(ring.Suspect{Evidence: e}, r, repeat)
}

func say(w ring.Word, r Reason, repeat bool) Action {
	return Action{Kind: Say, Opinion: ring.Opinion{Word: w}, Reason: r, Repeat: repeat}
}

// doubt tells once that something speaks against the leader.
func (w *Watch) doubt(now mono.Instant, o *watched) {
	if o.doubted || !o.det.Doubted() || o.det.state != Alive || w.grantTo(o) == nil {
		return
	}
	o.doubted = true
	w.act(o, say(ring.Doubt{}, o.det.Reason(now), false))
}

// probe is a Ping, with the grant if the target is the leader.
func (w *Watch) probe(o *watched, seq uint64) Action {
	a := Action{Kind: Ping, Target: o.target, Seq: seq}
	if g := w.grantTo(o); g != nil {
		a.Grant, a.Ack, a.Length = g.number, g.pong, g.length
	}
	return a
}

func (w *Watch) act(o *watched, a Action) {
	a.Target = o.target
	if a.Kind == Say {
		a.Opinion.ID, a.Opinion.Incarnation, a.Opinion.Term = o.target.ID, o.target.Incarnation, w.term
	}
	w.actions = append(w.actions, a)
}

// wanted is how many must be looked at: up to the first that answers. While
// nobody answers yet, twice as many as are in doubt: a row of dead members is
// found in the logarithm of its length.
func (w *Watch) wanted() int {
	n := len(w.targets)
	doubted := 0
	for _, o := range w.open {
		if !o.det.Doubted() {
			if o.det.state == Alive {
				return doubted + 1
			}
			break
		}
		doubted++
	}
	return min(max(2*doubted, doubted+1), n, MaxWatched)
}

// extend opens whom it needs.
func (w *Watch) extend(now mono.Instant) {
	want := w.wanted()
	for _, o := range w.open[:min(want, len(w.open))] {
		o.closeAt = 0
	}
	for len(w.open) < want {
		t := w.targets[len(w.open)]
		o := &watched{target: t, det: New(w.Timing(t.ID))}
		w.open = append(w.open, o)
		w.act(o, Action{Kind: Open})
		if t.ID == w.grant.target {
			w.grant.target = 0 // its probes are numbered from the start, and so is the grant
		}
		ping, _ := o.det.Tick(now)
		w.act(o, w.probe(o, ping))
	}
}

// shrink closes, farthest first, whom it has not needed for a while.
func (w *Watch) shrink(now mono.Instant) {
	want := w.wanted()
	for i := len(w.open) - 1; i >= want; i-- {
		o := w.open[i]
		if o.closeAt == 0 {
			o.closeAt = now.Add(lingerIntervals * o.det.cfg.Interval)
			continue
		}
		if now >= o.closeAt && i == len(w.open)-1 {
			w.open = w.open[:i]
			w.act(o, Action{Kind: Close})
		}
	}
}

func (w *Watch) find(id uint64) *watched {
	for _, o := range w.open {
		if o.target.ID == id {
			return o
		}
	}
	return nil
}
