package detector

import (
	"fmt"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

const (
	// excusesPerMiss bounds how long the monitor's own lag can hide a silent
	// member: after so many times the needed misses were excused in a row,
	// misses count although the ticks are late.
	excusesPerMiss = 3
	// flapForgiven is how many answers in a row make one flap forgotten.
	flapForgiven = 32
)

// Config is the timing of one link.
type Config struct {
	// Interval between probes, above 0.
	Interval time.Duration
	// Misses is how many unanswered probes in a row make a suspicion, at
	// least 1.
	Misses int
}

// Detector judges one member. Make one with New.
type Detector struct {
	cfg Config

	state    State
	evidence ring.Evidence // of a suspicion; empty if there is none
	cause    Cause

	seq   uint64 // number of the newest probe, 0 before the first Tick
	acked uint64 // highest number that was answered

	lastTick mono.Instant
	next     mono.Instant // when Tick wants to be called; at once for a new detector
	heard    mono.Instant // last answer, or first Tick
	lastLate bool
	excuse   bool // do not count the next miss: the timing changed, or we redialled

	misses  int
	excused int // in a row

	broken   bool
	brokenAt mono.Instant

	ran     Run    // the unanswered probes that the last call of Pong ended
	cleared Reason // why the last suspicion was taken back

	flaps  int // suspicions that were taken back, less what was forgotten
	streak int // answers in a row since the last miss
}

// New returns a detector that wants its first Tick at once. It panics on a
// Config that is out of range: settings are validated where they come in.
func New(c Config) *Detector {
	c.check()
	return &Detector{cfg: c, state: Unknown}
}

func (c Config) check() {
	if c.Interval <= 0 || c.Misses < 1 {
		panic(fmt.Sprintf("detector: interval %v and misses %d: must be above 0 and at least 1", c.Interval, c.Misses))
	}
}

// Tick judges the last probe. It returns the number of the one to send now, 0 if
// none is due, and whether a suspicion begins. Called early it does nothing;
// called late it doubts itself before the member.
func (d *Detector) Tick(now mono.Instant) (ping uint64, changed bool) {
	if d.seq == 0 {
		d.heard, d.next = now, now
	}
	if now < d.next {
		return 0, false
	}
	late := now.Sub(d.next) > d.cfg.Interval/4
	changed = d.judge(now, late || d.lastLate || d.excuse)

	// A grid, so that the rate is as configured; but after a late tick a full
	// interval, or the probe sent now would be judged too early.
	d.next = d.next.Add(d.cfg.Interval)
	if late {
		d.next = now.Add(d.cfg.Interval)
	}
	d.lastTick, d.lastLate, d.excuse = now, late, false
	d.seq++
	return d.seq, changed
}

// judge counts the newest probe if it is unanswered, and reports whether a
// suspicion begins.
func (d *Detector) judge(now mono.Instant, doubt bool) bool {
	if d.seq == 0 || d.acked >= d.seq {
		return false
	}
	d.streak = 0
	if doubt && d.excused < excusesPerMiss*d.needed() {
		d.excused++
		return false
	}
	d.misses++
	if d.state == Suspect {
		if d.Replaced() && d.misses >= d.needed() {
			d.suspect(ring.Silent, TooManyMissing) // that one has gone too
		}
		return false
	}
	switch {
	case d.broken && (now.Sub(d.brokenAt) >= d.grace() || d.misses >= d.needed()):
		return d.suspect(ring.Reset, StreamLost)
	case d.misses >= d.needed():
		return d.suspect(ring.Silent, TooManyMissing)
	}
	return false
}

// needed is Misses, and one more for each flap after the first, at most twice
// as many: a link that comes and goes is believed dead more slowly, but is.
func (d *Detector) needed() int {
	return d.cfg.Misses + min(max(d.flaps-1, 0), d.cfg.Misses)
}

func (d *Detector) grace() time.Duration {
	return max(d.cfg.Interval, min(durations.ProbeReset, d.cfg.Interval*time.Duration(d.cfg.Misses)))
}

func (d *Detector) suspect(e ring.Evidence, c Cause) bool {
	changed := d.state != Suspect
	d.state, d.evidence, d.cause = Suspect, e, c
	return changed
}

// Pong takes the answer to probe seq, and reports whether a suspicion ends by it.
// An answer to a probe that was never sent, or that is older than one already
// answered, says nothing new.
func (d *Detector) Pong(now mono.Instant, seq uint64) (changed bool) {
	d.ran = Run{}
	if seq > d.seq || seq <= d.acked {
		return false
	}
	r := Reason{Cause: AnsweredAgain, Silence: now.Sub(d.heard), Misses: d.misses, Needed: d.needed()}
	d.ran = Run{Missed: d.misses + d.excused, Counted: d.misses, Silence: r.Silence}
	d.acked, d.heard = seq, now
	d.misses, d.excused, d.broken = 0, 0, false
	if d.streak++; d.streak >= flapForgiven {
		d.streak, d.flaps = 0, max(d.flaps-1, 0)
	}
	changed = d.state == Suspect
	d.state, d.evidence = Alive, ""
	if changed {
		// No more than this many raise needed.
		d.flaps = min(d.flaps+1, d.cfg.Misses+1)
		d.streak, d.cleared = 0, r
	}
	return changed
}

// Broken says that the last stream to the member broke. That alone is no
// suspicion: the member has a grace of one interval to be had again.
func (d *Detector) Broken(now mono.Instant) {
	if !d.broken {
		d.broken, d.brokenAt = true, now
	}
}

// Refused says that every address of the member refused the connection: its
// host answers, nobody listens. It is believed at once. Refused reports whether a
// suspicion begins.
func (d *Detector) Refused() bool { return d.suspect(ring.Refused, NobodyListens) }

// Foreign says that another coordinator, or another incarnation, answered in
// the member's place. It is believed at once, and for as long as it goes on.
// Foreign reports whether a suspicion begins.
func (d *Detector) Foreign() bool {
	d.misses = 0
	return d.suspect(ring.Reset, SomebodyElse)
}

// Moved says that the member has other addresses now. What refused the connection
// at the old ones, or answered there, says nothing of it any more: such a suspicion
// is taken back, and one of silence stands until there is an answer. Moved reports
// whether a suspicion ends.
func (d *Detector) Moved(now mono.Instant) bool {
	if d.state != Suspect || d.evidence == ring.Silent || d.cause == StreamLost {
		return false
	}
	d.state, d.evidence, d.misses, d.excuse = Unknown, "", 0, true
	d.cleared = Reason{Cause: OtherAddresses, Silence: now.Sub(d.heard), Needed: d.needed()}
	return true
}

// Configure changes the timing. A probe that is under way is not held against
// the member, and what was missed under the old timing never makes a suspicion
// under the new one without another full interval of silence.
func (d *Detector) Configure(now mono.Instant, c Config) {
	c.check()
	if c == d.cfg {
		return
	}
	old := d.cfg
	d.cfg = c
	if d.seq == 0 {
		return
	}
	// A miss of a shorter interval is only part of one now.
	if c.Interval > old.Interval {
		d.misses = int(time.Duration(d.misses) * old.Interval / c.Interval)
		d.next = max(d.lastTick.Add(c.Interval), now)
	} else {
		d.next = min(d.next, now.Add(c.Interval))
	}
	if d.state != Suspect {
		d.misses = min(d.misses, c.Misses-1)
	}
	d.excuse = true
}

// Doubted reports whether anything speaks against the member: a missed probe, a
// broken stream, or a suspicion.
func (d *Detector) Doubted() bool { return d.misses > 0 || d.broken || d.state == Suspect }

// Replaced reports whether the member is suspect since somebody else answers in
// its place.
func (d *Detector) Replaced() bool { return d.state == Suspect && d.cause == SomebodyElse }

// Reason says why the state is what it is.
func (d *Detector) Reason(now mono.Instant) Reason {
	r := Reason{Cause: NoSamples, Misses: d.misses, Needed: d.needed()}
	if d.seq > 0 {
		r.Silence = now.Sub(d.heard)
	}
	switch {
	case d.state == Suspect:
		r.Cause = d.cause
	case d.broken:
		r.Cause = StreamBroke
	case d.misses > 0:
		r.Cause = Missing
	case d.state == Alive:
		r.Cause = Answering
	}
	return r
}
