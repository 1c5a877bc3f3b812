package devring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/verify/wire"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// stepWithin bounds each wait of a demonstration beyond what the profile
// itself allows for.
const stepWithin = 15 * time.Second

// Failover is what a demonstration saw of one.
type Failover struct {
	Old, New string
	// Before is Old's token, Token that of New's claim.
	Before, Token uint64
	// Rule says why New was the heir.
	Rule string
	// Evidence is what the history has against Old.
	Evidence string
	// Declared is how many declarations it took: more than one if the first
	// was lost before it could be claimed.
	Declared int
	// From the fault, taken just before kill(2): until the declaration was
	// seen at a node that is neither Old nor New (0 if there is none), and
	// until New's claim was seen.
	Elsewhere, Claim time.Duration
}

// Crash kills the leader with kill -9 and waits for the next claim. The ring
// has to be whole before.
func (r *Ring) Crash(ctx context.Context, before *arcv1.StatusResponse) (Failover, error) {
	old := r.Named(before.GetLeader().GetName())
	return r.failover(ctx, before, func() error { return old.Signal(syscall.SIGKILL) })
}

// Hang stops the leader with SIGSTOP and waits for the next claim.
func (r *Ring) Hang(ctx context.Context, before *arcv1.StatusResponse) (Failover, error) {
	old := r.Named(before.GetLeader().GetName())
	return r.failover(ctx, before, old.Stop)
}

func (r *Ring) failover(ctx context.Context, before *arcv1.StatusResponse, fault func() error) (Failover, error) {
	f := Failover{Old: before.GetLeader().GetName(), Before: before.GetTerm()}
	others := 0
	for _, n := range r.Running() {
		if n.name != f.Old && n.name != before.GetHeir() {
			others++
		}
	}
	mark := r.Mark()
	start := time.Now()
	if err := fault(); err != nil {
		return f, err
	}
	newer := func(ev observe.Event) bool { return ev.GetTerm() > before.GetTerm() && !ev.At.Before(start) }
	claim, err := r.AwaitEvent(ctx, mark, fmt.Sprintf("that somebody claims after %s", f.Old), func(ev observe.Event) bool {
		return newer(ev) && ev.Type() == "claim_gained"
	})
	if err != nil {
		return f, err
	}
	f.New, f.Token, f.Claim = claim.GetNode(), claim.GetTerm(), claim.At.Sub(start)
	if others > 0 {
		seen, err := r.AwaitEvent(ctx, mark, fmt.Sprintf("elsewhere that %s was declared", f.New), func(ev observe.Event) bool {
			return newer(ev) && ev.Type() == "leader_declared" && ev.By != f.New && ev.By != f.Old
		})
		if err != nil {
			return f, err
		}
		f.Elsewhere = seen.At.Sub(start)
	}
	return f, nil
}

// explain adds what the new leader wrote down about its leadership.
func (r *Ring) explain(ctx context.Context, f *Failover) error {
	n := r.Named(f.New)
	if n == nil {
		return fmt.Errorf("%q is no node of ours", f.New)
	}
	c, err := n.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	h, err := c.History(ctx, 0)
	if err != nil {
		return err
	}
	r.CheckHistory(n.name, h)
	f.Rule = "lowest id, nobody alive had led"
	for _, e := range h.GetEntries() {
		switch {
		case e.GetTerm() > f.Before:
			if f.Declared++; f.Declared == 1 {
				f.Evidence = e.GetEvidence()
			}
		case e.GetName() == f.New:
			f.Rule = "most recent former leader alive"
		}
	}
	return nil
}

// Verdict is what a demonstration found.
type Verdict struct {
	Failovers  []Failover
	Violations []string
}

// Demo kills leader after leader until one is left, brings all back, kills
// once more so that a returned former leader takes over, and writes what it
// sees to w. The verdict is complete also if the error tells where it ended.
func (r *Ring) Demo(ctx context.Context, w io.Writer) (v Verdict, err error) {
	defer func() { v.Violations = append(v.Violations, r.Violations()...) }()
	st, err := r.formed(ctx, w)
	if err != nil {
		return v, err
	}
	for len(r.Running()) > 1 {
		if st, err = r.demoFailover(ctx, w, st, &v); err != nil {
			return v, err
		}
	}
	fmt.Fprintf(w, "%s is alone; bringing the others back\n", st.GetSelf())
	if st, err = r.bringBack(ctx, w, &v); err != nil {
		return v, err
	}
	if len(r.Nodes()) > 1 {
		if _, err = r.demoFailover(ctx, w, st, &v); err != nil {
			return v, err
		}
		if _, err = r.bringBack(ctx, w, &v); err != nil {
			return v, err
		}
	}
	return v, r.compareHistories(ctx)
}

func (r *Ring) formed(ctx context.Context, w io.Writer) (*arcv1.StatusResponse, error) {
	start := time.Now()
	st, err := r.step(ctx, r.AwaitRing)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "ring of %d formed in %s: %s, token %d\n", len(st.GetMembers()), Ms(time.Since(start)), Picture(st), st.GetTerm())
	return st, nil
}

func (r *Ring) step(ctx context.Context, f func(context.Context) (*arcv1.StatusResponse, error)) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	return f(ctx)
}

func (r *Ring) demoFailover(ctx context.Context, w io.Writer, before *arcv1.StatusResponse, v *Verdict) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*stepWithin)
	defer cancel()
	old := r.Named(before.GetLeader().GetName())
	if err := r.checkHeir(ctx, old, before, v); err != nil {
		return nil, err
	}
	f, err := r.Crash(ctx, before)
	if err != nil {
		return nil, fmt.Errorf("after kill -9 of %s: %w", f.Old, err)
	}
	if err := old.Wait(ctx); err != nil {
		return nil, err
	}
	if err := r.explain(ctx, &f); err != nil {
		return nil, err
	}
	v.Failovers = append(v.Failovers, f)
	if f.New != before.GetHeir() {
		v.Violations = append(v.Violations, fmt.Sprintf("G3: %s took over from %s, but %s was the heir", f.New, f.Old, before.GetHeir()))
	}
	if f.Token <= before.GetTerm() {
		v.Violations = append(v.Violations, fmt.Sprintf("G1: token %d of %s is not above %d of %s", f.Token, f.New, before.GetTerm(), f.Old))
	}
	elsewhere := "nobody else left"
	if f.Elsewhere > 0 {
		elsewhere = "seen elsewhere after " + Ms(f.Elsewhere)
	}
	if f.Declared > 1 {
		elsewhere += fmt.Sprintf(", declared %d times", f.Declared)
	}
	fmt.Fprintf(w, "kill -9 %-4s → %-4s leads, token %d: %s; %s; %s, claimed after %s\n", f.Old, f.New, f.Token, f.Rule, or(f.Evidence, "no evidence"), elsewhere, Ms(f.Claim))
	after, err := r.AwaitRing(ctx)
	if err != nil {
		return nil, fmt.Errorf("after %s took over from %s: %w", f.New, f.Old, err)
	}
	return after, nil
}

// checkHeir holds what all nodes say about the heir against the rule.
func (r *Ring) checkHeir(ctx context.Context, leader *Node, st *arcv1.StatusResponse, v *Verdict) error {
	c, err := leader.Client()
	if err != nil {
		return err
	}
	h, err := c.History(ctx, 0)
	if err != nil {
		return err
	}
	if want := wire.Heir(st, h); st.GetHeir() != want {
		v.Violations = append(v.Violations, fmt.Sprintf("G3: %s names %q as heir, by the rule it is %q", st.GetSelf(), st.GetHeir(), want))
	}
	return nil
}

func (r *Ring) bringBack(ctx context.Context, w io.Writer, v *Verdict) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*stepWithin)
	defer cancel()
	leader, err := r.AwaitLeader(ctx)
	if err != nil {
		return nil, err
	}
	was := map[string]bool{}
	var highest uint64
	for _, m := range leader.GetMembers() {
		was[m.GetName()] = true
		highest = max(highest, m.GetId())
	}
	start := time.Now()
	var back []string
	for _, n := range r.Nodes() {
		if !n.Running() {
			if err := n.Start(); err != nil {
				return nil, err
			}
			back = append(back, n.name)
		}
	}
	st, err := r.AwaitRing(ctx)
	if err != nil {
		return nil, fmt.Errorf("bringing back %s: %w", strings.Join(back, ", "), err)
	}
	fmt.Fprintf(w, "back after %s: %s; ring %s\n", Ms(time.Since(start)), strings.Join(back, " "), Picture(st))
	for _, m := range st.GetMembers() {
		if !was[m.GetName()] && m.GetId() <= highest {
			v.Violations = append(v.Violations, fmt.Sprintf("%s came back under id %d, which is not above %d", m.GetName(), m.GetId(), highest))
		}
	}
	if st.GetTerm() != leader.GetTerm() {
		v.Violations = append(v.Violations, fmt.Sprintf("the leadership changed from token %d to %d while others came back", leader.GetTerm(), st.GetTerm()))
	}
	return st, nil
}

// compareHistories holds all nodes' histories against each other.
func (r *Ring) compareHistories(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	for _, n := range r.Running() {
		c, err := n.Client()
		if err != nil {
			return err
		}
		h, err := c.History(ctx, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		r.CheckHistory(n.name, h)
	}
	return nil
}

// ErrBroken: a demonstration saw a guarantee broken.
var ErrBroken = errors.New("a guarantee did not hold")

// Summary writes the medians and the verdict, and returns ErrBroken if a
// guarantee did not hold.
func (v Verdict) Summary(w io.Writer, terms int) error {
	var claim, elsewhere []time.Duration
	for _, f := range v.Failovers {
		claim = append(claim, f.Claim)
		if f.Elsewhere > 0 {
			elsewhere = append(elsewhere, f.Elsewhere)
		}
	}
	if len(claim) > 0 {
		fmt.Fprintf(w, "%d failovers; median from kill -9 to the claim %s", len(claim), Ms(Median(claim)))
		if len(elsewhere) > 0 {
			fmt.Fprintf(w, ", to the declaration seen at another node %s", Ms(Median(elsewhere)))
		}
		fmt.Fprintln(w)
	}
	var g1, g3 []string
	for _, x := range v.Violations {
		if strings.HasPrefix(x, "G3") {
			g3 = append(g3, x)
		} else {
			g1 = append(g1, x)
		}
	}
	verdict := func(what string, broken []string) {
		if len(broken) == 0 {
			fmt.Fprintf(w, "held    %s\n", what)
			return
		}
		fmt.Fprintf(w, "BROKEN  %s\n        %s\n", what, strings.Join(broken, "\n        "))
	}
	verdict(fmt.Sprintf("G1: tokens rise, one leader per term (%d terms, all nodes' streams merged)", terms), g1)
	verdict(fmt.Sprintf("G3: each of %d new leaders was the heir", len(v.Failovers)), g3)
	if len(v.Violations) > 0 {
		return ErrBroken
	}
	return nil
}

// Median returns the middle of ds, 0 of none.
func Median(ds []time.Duration) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	s := slices.Clone(ds)
	slices.Sort(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// Ms prints a duration in milliseconds.
func Ms(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
