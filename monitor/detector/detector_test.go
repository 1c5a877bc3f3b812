package detector

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

const ms = time.Millisecond

// link is a detector with a probing loop around it in virtual time.
type link struct {
	*Detector
	t   *testing.T
	now mono.Instant
}

func newLink(t *testing.T, interval time.Duration, misses int) *link {
	return &link{New(Config{interval, misses}), t, 0}
}

// result is what there is to see after a call to the detector.
type result struct {
	state   State
	changed bool
	ping    uint64
}

func (l *link) result(changed bool) result { return result{state: l.state, changed: changed} }

func (l *link) pong(seq uint64) result { return l.result(l.Pong(l.now, seq)) }

// tick ticks late by so much after the due time; an answer comes if answered.
func (l *link) tick(late time.Duration, answered bool) result {
	l.t.Helper()
	l.now = max(l.next.Add(late), l.now)
	ping, changed := l.Tick(l.now)
	if ping == 0 {
		l.t.Fatalf("at %v: a tick that was due sends no probe", l.now)
	}
	if answered {
		l.now = l.now.Add(ms / 10)
		return l.pong(ping)
	}
	return result{l.state, changed, ping}
}

func (l *link) ticks(n int, late time.Duration, answered bool) (last result) {
	l.t.Helper()
	for range n {
		last = l.tick(late, answered)
	}
	return last
}

func (l *link) want(r result, s State, changed bool, e ring.Evidence) {
	l.t.Helper()
	if r.state != s || r.changed != changed || l.evidence != e {
		l.t.Errorf("at %v: state %v changed %v evidence %q (%v), want %v %v %q", l.now, r.state, r.changed, l.evidence, l.Reason(l.now), s, changed, e)
	}
}

func TestNewMemberIsUnknownUntilItAnswers(t *testing.T) {
	l := newLink(t, 200*ms, 5)
	l.want(l.tick(0, false), Unknown, false, "")
	l.want(l.ticks(4, 0, false), Unknown, false, "")
	l.want(l.tick(0, false), Suspect, true, ring.Silent)
}

func TestDetectionTakesMissesAndAFractionOfAnInterval(t *testing.T) {
	for _, c := range []Config{{2 * ms, 3}, {30 * ms, 5}, {200 * ms, 5}, {time.Second, 1}} {
		l := newLink(t, c.Interval, c.Misses)
		l.want(l.ticks(10, 0, true), Alive, false, "")
		died := l.now
		var r result
		for r = l.tick(0, false); r.state != Suspect; r = l.tick(0, false) {
		}
		l.want(r, Suspect, true, ring.Silent)
		if took, most := l.now.Sub(died), c.Interval*time.Duration(c.Misses+1); took > most || took < most-c.Interval {
			t.Errorf("%v x %d: suspected after %v, want within an interval below %v", c.Interval, c.Misses, took, most)
		}
	}
}

func TestAnAnswerBetweenMissesClearsThem(t *testing.T) {
	l := newLink(t, 50*ms, 4)
	for range 20 {
		l.want(l.ticks(3, 0, false), l.state, false, "")
		l.want(l.tick(0, true), Alive, false, "")
	}
}

func TestALateAnswerStillCounts(t *testing.T) {
	// The round trip takes one and a half intervals.
	l := newLink(t, 10*ms, 3)
	sent := l.tick(0, false).ping
	for range 50 {
		next := l.tick(0, false).ping
		l.now = l.now.Add(5 * ms)
		l.want(l.pong(sent), Alive, false, "")
		sent = next
	}
	if l.misses != 0 {
		t.Errorf("misses = %d, want 0", l.misses)
	}
}

func TestAnswersThatSayNothingNewAreIgnored(t *testing.T) {
	l := newLink(t, 10*ms, 2)
	first := l.tick(0, false).ping
	l.want(l.pong(first+1), Unknown, false, "")
	l.want(l.pong(first), Alive, false, "")
	l.ticks(3, 0, false)
	l.want(l.pong(first), Suspect, false, ring.Silent)
	l.want(l.pong(0), Suspect, false, ring.Silent)
}

func TestAnEarlyTickDoesNothing(t *testing.T) {
	l := newLink(t, 10*ms, 1)
	l.tick(0, true)
	for range 100 {
		if ping, changed := l.Tick(l.now); ping != 0 || changed || l.state != Alive {
			t.Fatalf("an early tick gave probe %d, changed %v, state %v", ping, changed, l.state)
		}
	}
}

func TestOwnLagIsNotHeldAgainstTheMember(t *testing.T) {
	t.Run("one long stall", func(t *testing.T) {
		l := newLink(t, 10*ms, 1)
		l.ticks(5, 0, true)
		l.tick(0, false)
		l.want(l.tick(10*time.Second, false), Alive, false, "") // this tick is late
		l.want(l.tick(0, false), Alive, false, "")              // the last one was
		l.want(l.tick(0, false), Suspect, true, ring.Silent)    // now it counts
	})
	t.Run("a stall does not clear what was missed", func(t *testing.T) {
		l := newLink(t, 10*ms, 2)
		l.ticks(5, 0, true)
		l.ticks(2, 0, false) // one miss
		l.want(l.tick(5*ms, false), Alive, false, "")
		l.want(l.tick(0, false), Alive, false, "")
		l.want(l.tick(0, false), Suspect, true, ring.Silent)
	})
	t.Run("a quarter of an interval is no lag", func(t *testing.T) {
		l := newLink(t, 100*ms, 2)
		l.ticks(5, 0, true)
		l.want(l.ticks(3, 25*ms, false), Suspect, true, ring.Silent)
	})
	t.Run("for ever late, still found", func(t *testing.T) {
		l := newLink(t, 100*ms, 3)
		l.ticks(5, 40*ms, true)
		n := 0
		for l.state != Suspect {
			l.tick(40*ms, false)
			if n++; n > 3*3+3+1 {
				t.Fatalf("silent for %d late ticks and not suspected", n)
			}
		}
		if n <= 3+1 {
			t.Errorf("suspected after %d late ticks, as if they had been on time", n)
		}
	})
	t.Run("a late tick gives the next probe a full interval", func(t *testing.T) {
		l := newLink(t, 100*ms, 3)
		l.tick(0, true)
		l.tick(90*ms, true)
		if got := l.next.Sub(l.lastTick); got != 100*ms {
			t.Errorf("the probe after a late tick has %v, want the interval", got)
		}
	})
}

func TestRefusedIsBelievedAtOnce(t *testing.T) {
	l := newLink(t, 200*ms, 5)
	l.want(l.result(l.Refused()), Suspect, true, ring.Refused)
	l.want(l.result(l.Refused()), Suspect, false, ring.Refused)
	l.want(l.tick(0, true), Alive, true, "")
	l.Broken(l.now)
	l.want(l.result(l.Refused()), Suspect, true, ring.Refused)
}

func TestABrokenStreamIsASuspicionOnlyIfItStaysBroken(t *testing.T) {
	t.Run("had again", func(t *testing.T) {
		l := newLink(t, 100*ms, 5)
		l.ticks(3, 0, true)
		for range 10 {
			l.Broken(l.now)
			l.want(l.result(false), Alive, false, "")
			if !l.Doubted() {
				t.Fatal("a broken stream raises no doubt")
			}
			l.want(l.tick(0, true), Alive, false, "")
		}
	})
	t.Run("not had again", func(t *testing.T) {
		l := newLink(t, 100*ms, 5)
		l.ticks(3, 0, true)
		broke := l.now
		l.Broken(l.now)
		for l.state != Suspect {
			l.tick(0, false)
		}
		l.want(l.result(l.Refused()), Suspect, false, ring.Refused)
		if took := l.now.Sub(broke); took > 250*ms {
			t.Errorf("reset took %v, want two intervals or so", took)
		}
	})
	t.Run("evidence is reset", func(t *testing.T) {
		l := newLink(t, 2*ms, 3)
		l.ticks(3, 0, true)
		l.Broken(l.now)
		l.want(l.ticks(4, 0, false), Suspect, true, ring.Reset)
	})
	t.Run("fast probes leave time for a handshake", func(t *testing.T) {
		l := newLink(t, 2*ms, 20)
		l.ticks(3, 0, true)
		l.Broken(l.now)
		broke := l.now
		for l.state != Suspect {
			l.tick(0, false)
		}
		if took := l.now.Sub(broke); took < 20*ms || took > 26*ms {
			t.Errorf("reset took %v, want a little above 20ms", took)
		}
	})
}

func TestSomebodyElseInItsPlace(t *testing.T) {
	l := newLink(t, 100*ms, 5)
	l.ticks(3, 0, true)
	l.want(l.result(l.Foreign()), Suspect, true, ring.Reset)
	if got, want := l.Reason(l.now).String(), "another process answers at its address"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestFlappingIsBelievedMoreSlowlyButWithinABound(t *testing.T) {
	l := newLink(t, 10*ms, 3)
	l.ticks(5, 0, true)
	outage := func() (ticks int) {
		for l.state != Suspect {
			l.tick(0, false)
			ticks++
		}
		l.Pong(l.now, l.seq)
		return ticks
	}
	first, second := outage(), outage()
	if first != 4 || second != 4 {
		t.Errorf("the first two outages took %d and %d ticks, want 4: a second fault costs no more than the first", first, second)
	}
	last := second
	for range 10 {
		n := outage()
		if n < last || n > 7 {
			t.Errorf("an outage took %d ticks after one of %d, want no less and at most twice the misses", n, last)
		}
		last = n
	}
	if last != 7 {
		t.Errorf("a link that flaps needs %d ticks, want 7", last)
	}
	l.ticks(flapForgiven*5, 0, true)
	if n := outage(); n != 4 {
		t.Errorf("after a time without misses an outage takes %d ticks, want 4 again", n)
	}
}

func TestChangedTimingMakesNoSuspicion(t *testing.T) {
	configs := []Config{{200 * ms, 5}, {100 * ms, 5}, {30 * ms, 5}, {2 * ms, 3}, {time.Second, 6}, {200 * ms, 1}}
	for _, from := range configs {
		for _, to := range configs {
			if from == to {
				continue
			}
			for missed := range from.Misses {
				for _, at := range []time.Duration{0, from.Interval / 10, from.Interval / 2, from.Interval} {
					l := newLink(t, from.Interval, from.Misses)
					l.ticks(5, 0, true)
					if missed > 0 {
						l.ticks(missed, 0, false)
					}
					sent := l.tick(0, false).ping
					l.now = l.now.Add(at)
					l.Configure(l.now, to)
					// The answer to the probe under way comes at the end of the
					// interval that it was sent under.
					l.now = l.now.Add(min(from.Interval-at, to.Interval))
					if l.next <= l.now {
						l.want(l.tick(0, false), Alive, false, "")
					}
					l.want(l.pong(sent), Alive, false, "")
				}
			}
		}
	}
}

func TestChangedTimingKeepsASuspicionAndStillFindsTheSilent(t *testing.T) {
	l := newLink(t, 100*ms, 2)
	l.ticks(3, 0, false)
	l.Configure(l.now, Config{10 * ms, 4})
	l.want(l.tick(0, false), Suspect, false, ring.Silent)

	// The same timing again and again does not hold detection up.
	l = newLink(t, 100*ms, 3)
	l.ticks(3, 0, true)
	for range 4 {
		l.tick(0, false)
		l.Configure(l.now, Config{100 * ms, 3})
	}
	l.want(l.tick(0, false), Suspect, false, ring.Silent)
}

func TestOwnRedialIsNotHeldAgainstTheMember(t *testing.T) {
	l := newLink(t, 100*ms, 1)
	l.ticks(3, 0, true)
	l.tick(0, false)
	l.excuse = true
	l.want(l.tick(0, false), Alive, false, "")
	l.want(l.tick(0, false), Suspect, true, ring.Silent)
}

func TestBadTimingPanics(t *testing.T) {
	for _, c := range []Config{{0, 1}, {-ms, 1}, {ms, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%+v) took it", c)
				}
			}()
			New(c)
		}()
	}
}

func TestReasonsAreSentences(t *testing.T) {
	for _, c := range []struct {
		r    Reason
		want string
	}{
		{Reason{Cause: NoSamples}, "no answer yet"},
		{Reason{Cause: Answering}, "answers"},
		{Reason{Cause: Missing, Misses: 2, Needed: 5}, "2 of 5 probes in a row unanswered"},
		{Reason{Cause: TooManyMissing, Misses: 5, Silence: 1100 * ms}, "5 probes in a row unanswered, silent for 1.1s"},
		{Reason{Cause: TooManyMissing, Misses: 1, Silence: 3 * ms}, "1 probe in a row unanswered, silent for 3ms"},
		{Reason{Cause: StreamBroke}, "the stream broke"},
		{Reason{Cause: StreamLost, Silence: 20 * ms}, "the stream broke and cannot be had again, silent for 20ms"},
		{Reason{Cause: NobodyListens}, "every address refuses the connection"},
		{Reason{Cause: AnsweredAgain, Silence: 3 * time.Second}, "answered again after 3s"},
	} {
		if got := c.r.String(); got != c.want {
			t.Errorf("%+v prints %q, want %q", c.r, got, c.want)
		}
	}
}

func TestRunsOfMissedProbesAreToldWhenTheyEnd(t *testing.T) {
	l := newLink(t, 10*ms, 5)
	ran := func(want Run) {
		t.Helper()
		got := l.ran
		got.Silence = 0
		if got != want {
			t.Errorf("at %v: ran %+v, want %+v", l.now, got, want)
		}
	}
	l.ticks(3, 0, true)
	ran(Run{})
	l.ticks(3, 0, false) // the newest is not due yet
	ran(Run{})
	l.Pong(l.now, l.seq-2)
	ran(Run{Missed: 2, Counted: 2})
	l.Pong(l.now, l.seq-2) // by another path
	ran(Run{})

	// A late tick is excused, but told.
	l.ticks(1, 0, true)
	l.ticks(2, 0, false)
	l.tick(5*ms, false)
	l.ticks(2, 0, true)
	ran(Run{})
	l.ticks(2, 0, false)
	l.tick(5*ms, true)
	ran(Run{Missed: 2, Counted: 1})

	// A suspicion does not end a run, an answer does.
	l.ticks(3, 0, true)
	l.want(l.ticks(8, 0, false), Suspect, false, ring.Silent)
	l.Pong(l.now, l.seq)
	ran(Run{Missed: 7, Counted: 7})
}

func BenchmarkProbe(b *testing.B) {
	d := New(Config{200 * ms, 5})
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		ping, _ := d.Tick(mono.Instant(now))
		d.Pong(mono.Instant(now+ms), ping)
		now += 200 * ms
	}
}
