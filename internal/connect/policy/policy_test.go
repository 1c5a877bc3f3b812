package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/arc-ring/arc/internal/mono"
)

// A script tells what happens to one connection. Each command answers with what
// Tick wants after it, the state, and how long it is until Tick is due.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := &world{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.t = t
			w.do(d)
			return w.tick()
		})
	})
}

type world struct {
	t     *testing.T
	c     *Connection
	now   mono.Instant
	sight Sight
}

var reasons = map[string]Reason{"": Unanswered, "nobody-listens": NobodyListens, "rejected": Rejected, "own": Own, "cut": Cut}

func (w *world) do(d *datadriven.TestData) {
	var ids []uint64
	var why string
	for i := range d.CmdArgs {
		if a := &d.CmdArgs[i]; a.Key == "try" {
			ids = make([]uint64, len(a.Vals))
			for i := range ids {
				a.Scan(w.t, i, &ids[i])
			}
		}
	}
	d.MaybeScanArgs(w.t, "why", &why)
	reason, ok := reasons[why]
	if !ok {
		d.Fatalf(w.t, "why=%s is no reason", why)
	}
	switch d.Cmd {
	case "new":
		// The script draws the middle of what chance can give.
		w.c = New(w.rules(d), func(d time.Duration) time.Duration { return d / 2 })
		w.now, w.sight = mono.Instant(time.Hour), Sight{}
	case "addresses":
		w.sight.Addresses = strings.Fields(d.Input)
	case "sight":
		w.sight.Unwanted, w.sight.Stuck = d.HasArg("unwanted"), d.HasArg("stuck")
		w.sight.Linked, w.sight.Crowded = d.HasArg("linked"), d.HasArg("crowded")
	case "wait":
		w.now = w.now.Add(w.duration(d, d.CmdArgs[0].Key))
	case "begin":
		w.c.Begin(w.now)
	case "begin-in":
		w.c.BeginIn(w.now, w.duration(d, d.CmdArgs[0].Key))
	case "fresh":
		w.c.Fresh(w.now)
	case "alive":
		w.c.Alive(w.now)
	case "restart":
		w.c.Restart(w.now)
	case "give-up":
		w.c.GiveUp()
	case "silent":
		w.c.Silent(w.now, d.HasArg("alive"))
	case "proved":
		w.c.Proved()
	case "spare":
		w.c.Spare = !d.HasArg("no-more")
	case "slow":
		w.c.Slow = !d.HasArg("no-more")
	case "won":
		for _, id := range ids {
			w.c.Won(id)
		}
	case "drop":
		for _, id := range ids {
			w.c.Drop(id)
		}
	case "failed":
		for _, id := range ids {
			w.c.Failed(w.now, id, reason)
		}
	case "lost":
		for _, id := range ids {
			w.c.Lost(w.now, id, reason)
		}
	default:
		d.Fatalf(w.t, "unknown command %s", d.Cmd)
	}
}

func (w *world) rules(d *datadriven.TestData) (r Rules) {
	for _, a := range d.CmdArgs {
		value := func() time.Duration { return w.duration(d, a.Vals[0]) }
		number := func() (n int) {
			a.Scan(w.t, 0, &n)
			return n
		}
		switch a.Key {
		case "stagger":
			r.Stagger = value()
		case "overlap":
			r.Overlap, r.LateOverlap = value(), value()
		case "late-overlap":
			r.LateOverlap = value()
		case "early-rounds":
			r.EarlyRounds = number()
		case "answer":
			r.Answer = value()
		case "most":
			r.Most = number()
		case "first":
			r.Backoff.First = value()
		case "longest":
			r.Backoff.Longest = value()
		case "spread":
			r.Spread = true
		case "slow":
			r.Slow = value()
		case "spare":
			r.Spare = value()
		case "quick":
			r.Quick, r.QuickPause = number(), 2*time.Millisecond
		case "cut-failures":
			r.CutFailures = number()
		case "silent-every":
			r.SilentEvery = value()
		case "once":
			r.Once = true
		default:
			d.Fatalf(w.t, "unknown rule %s", a.Key)
		}
	}
	return r
}

func (w *world) duration(d *datadriven.TestData, s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		d.Fatalf(w.t, "%v", err)
	}
	return v
}

func (w *world) tick() string {
	var out strings.Builder
	for _, a := range w.c.Tick(w.now, w.sight) {
		if a.Address == "" {
			fmt.Fprintf(&out, "give up try %d\n", a.Try)
		} else {
			fmt.Fprintf(&out, "try %d: %s\n", a.Try, a.Address)
		}
	}
	out.WriteString(w.c.State().String())
	if next := w.c.Next(); next != mono.Never {
		fmt.Fprintf(&out, ", due in %v", next.Sub(w.now))
		if w.c.Quick() == next {
			out.WriteString(", quickly")
		}
	}
	if n := w.c.Failures(); n > 0 {
		fmt.Fprintf(&out, ", failures %d", n)
	}
	return out.String() + "\n"
}

// String returns the state in words.
func (s State) String() string {
	return [...]string{"idle", "dialling", "up", "stalled", "backing off", "refused", "given up"}[s]
}

func TestSpreadIsAQuarterEitherWay(t *testing.T) {
	for chance, want := range map[string]time.Duration{"least": 75 * time.Millisecond, "most": 125*time.Millisecond - 1} {
		c := New(Rules{Spread: true}, func(d time.Duration) time.Duration {
			if chance == "least" {
				return 0
			}
			return d - 1
		})
		c.BeginIn(0, 100*time.Millisecond)
		if got := c.Next().Sub(0); got != want {
			t.Errorf("the %s that chance can give: %v, want %v", chance, got, want)
		}
	}
}
