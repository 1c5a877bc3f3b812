package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/arc-ring/arc/ring"
)

// Regression is a run that once broke a check, written down in full: a seed
// alone means another run as soon as a kind of fault is added or chance is
// drawn in another order.
type Regression struct {
	// About says in a sentence what went wrong.
	About string `json:"about"`
	// Check is the guarantee that was broken.
	Check string `json:"check"`
	// Mutation is the broken core that has to fail with these faults; empty if
	// none is kept.
	Mutation string `json:"mutation,omitempty"`
	// Quiet, if not 0, is for how long at most nobody may claim from the first
	// claim on.
	Quiet span `json:"quiet,omitempty"`
	// Seed and Salt were the run's chance in the network when it was found.
	Seed  uint64 `json:"seed"`
	Salt  uint64 `json:"salt"`
	Nodes int    `json:"nodes"`
	// Length of the run.
	Length span      `json:"length"`
	World  worldText `json:"world"`
	Faults []Fault   `json:"faults"`
}

// Regress writes a run down.
func Regress(r *Result) *Regression {
	g := &Regression{Check: r.Failure.Check, Seed: r.Options.Seed, Salt: r.Options.Salt, Nodes: r.Options.Nodes, World: worldText(r.World), Faults: []Fault{}}
	for i, f := range r.Plan {
		if r.Options.Keep == nil || slices.Contains(r.Options.Keep, i) {
			g.Faults = append(g.Faults, f)
		}
	}
	// Whole cycles, so that storms and quiet times stay where they were.
	g.Length = span(min(r.Options.Length, (r.Failure.At/r.World.Cycle+1)*r.World.Cycle))
	return g
}

// Options run it again, with other chance for another extra salt.
func (g *Regression) Options(extra uint64) Options {
	return Options{Seed: g.Seed, Salt: g.Salt + extra, Nodes: g.Nodes, Length: time.Duration(g.Length), Plan: g.Faults,
		World: func(w *World) { *w = World(g.World) }}
}

// Run runs it again. With the checks of every run, and how long nobody claimed.
func (g *Regression) Run(o Options) *Result {
	r := Run(o)
	if r.Failure != nil || g.Quiet == 0 {
		return r
	}
	for i := 1; i < len(r.Claims); i++ {
		if gap := r.Claims[i].From - r.Claims[i-1].To; gap > time.Duration(g.Quiet) {
			r.Failure = &Failure{Check: "quiet", At: r.Claims[i].From, Node: r.Claims[i].Node, Text: fmt.Sprintf("nobody claimed for %v, want at most %v", gap, time.Duration(g.Quiet))}
			break
		}
	}
	return r
}

// LoadRegression reads a file that Save wrote.
func LoadRegression(file string) (*Regression, error) {
	b, err := os.ReadFile(file) // #nosec G304 -- the caller's own file
	if err != nil {
		return nil, fmt.Errorf("read regression: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	g := &Regression{}
	if err := d.Decode(g); err != nil {
		return nil, fmt.Errorf("regression %s: %w", file, err)
	}
	w := World(g.World)
	if k := w.Machines + w.Spares; g.Nodes < 1 || k < 1 || len(w.Rates) != k || len(w.Lazy) != k || w.Cycle <= 0 || g.Length <= 0 {
		return nil, fmt.Errorf("regression %s: %d machines and %d spare need as many clock rates (%d) and timers (%d), and cycle and length above 0", file, w.Machines, w.Spares, len(w.Rates), len(w.Lazy))
	}
	if err := w.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("regression %s: settings: %w", file, err)
	}
	return g, nil
}

// Save writes it to a file.
func (g *Regression) Save(file string) error {
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return fmt.Errorf("regression %s: %w", file, err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil { // #nosec G306 -- checked in
		return fmt.Errorf("write regression: %w", err)
	}
	return nil
}

// span is a duration that is written as in Go.
type span time.Duration

func (s span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

func (s *span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = span(d)
	return err
}

// faultText is how a fault is written.
type faultText struct {
	At   span      `json:"at"`
	Kind FaultKind `json:"kind"`
	Who  Target    `json:"who"`
	With Target    `json:"with"`
	For  span      `json:"for"`
	On   string    `json:"on,omitempty"`
	Mid  bool      `json:"mid,omitempty"`
	Wipe bool      `json:"wipe,omitempty"`
	Gone bool      `json:"gone,omitempty"`
	N    int       `json:"n,omitempty"`
}

// MarshalJSON writes times as in Go, and targets by their roles.
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultText{span(f.At), f.Kind, f.Who, f.With, span(f.For), f.On, f.Mid, f.Wipe, f.Gone, f.N})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var t faultText
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return err
	}
	if !slices.Contains(FaultKinds, t.Kind) {
		return fmt.Errorf("fault %q is not one of %v", t.Kind, FaultKinds)
	}
	*f = Fault{time.Duration(t.At), t.Kind, t.Who, t.With, time.Duration(t.For), t.On, t.Mid, t.Wipe, t.Gone, t.N}
	return nil
}

var roles = []Target{TheLeader, TheHeir, TheWatcher, TheSubject, ANewest}

// MarshalText is the role or the machine's name.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Target) UnmarshalText(b []byte) error {
	for _, r := range roles {
		if r.String() == string(b) {
			*t = r
			return nil
		}
	}
	k := 0
	if _, err := fmt.Sscanf(string(b), "n%d", &k); err != nil || k < 1 || k > 99 {
		return fmt.Errorf("%q is no machine, such as n1, and no role", b)
	}
	*t = Target(k - 1)
	return nil
}

// worldText is how a World is written.
type worldText World

type worldFields struct {
	Machines     int           `json:"machines"`
	Spares       int           `json:"spares"`
	Profile      string        `json:"profile"`
	Settings     ring.Settings `json:"settings"`
	Base         span          `json:"net_delay"`
	Jitter       span          `json:"net_jitter"`
	Tail         span          `json:"net_tail"`
	TailOdds     int           `json:"net_tail_odds"`
	Loss         uint32        `json:"net_loss"`
	Dup          uint32        `json:"net_dup"`
	Ordered      bool          `json:"net_ordered"`
	Copies       bool          `json:"net_copies"`
	Hold         int           `json:"net_hold"`
	Networks     int           `json:"networks,omitempty"`
	Strays       bool          `json:"strays,omitempty"`
	Witnesses    []int         `json:"witnesses,omitempty"`
	Leads        []int         `json:"leads,omitempty"`
	CompactAfter uint64        `json:"compact_after"`
	Early        bool          `json:"early,omitempty"`
	Reckless     bool          `json:"reckless,omitempty"`
	Demand       bool          `json:"demand,omitempty"`
	Defers       bool          `json:"defers,omitempty"`
	Together     bool          `json:"together,omitempty"`
	Rates        []int64       `json:"rates"`
	Lazy         []span        `json:"lazy"`
	Cycle        span          `json:"cycle"`
	Quiet        span          `json:"quiet"`
}

func (w worldText) MarshalJSON() ([]byte, error) {
	n := w.Net
	t := worldFields{w.Machines, w.Spares, w.Profile, w.Settings, span(n.Base), span(n.Jitter), span(n.Tail), n.TailOdds, n.Loss, n.Dup, n.Ordered, n.Copies, n.Hold, w.Networks, w.Strays,
		w.Witnesses, w.Leads, w.CompactAfter, w.Early, w.Reckless, w.Demand, w.Defers, w.Together, w.Rates, nil, span(w.Cycle), span(w.Quiet)}
	for _, l := range w.Lazy {
		t.Lazy = append(t.Lazy, span(l))
	}
	return json.Marshal(t)
}

func (w *worldText) UnmarshalJSON(b []byte) error {
	var t worldFields
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return err
	}
	*w = worldText{Machines: t.Machines, Spares: t.Spares, Profile: t.Profile, Settings: t.Settings,
		Net: Network{Base: time.Duration(t.Base), Jitter: time.Duration(t.Jitter), Tail: time.Duration(t.Tail), TailOdds: t.TailOdds, Loss: t.Loss, Dup: t.Dup,
			Ordered: t.Ordered, Copies: t.Copies, Hold: t.Hold},
		Networks: t.Networks, Strays: t.Strays, Witnesses: t.Witnesses, Leads: t.Leads, CompactAfter: t.CompactAfter, Early: t.Early, Reckless: t.Reckless, Demand: t.Demand, Defers: t.Defers, Together: t.Together, Rates: t.Rates,
		Cycle: time.Duration(t.Cycle), Quiet: time.Duration(t.Quiet)}
	for _, l := range t.Lazy {
		w.Lazy = append(w.Lazy, time.Duration(l))
	}
	return nil
}
