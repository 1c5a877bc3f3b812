package devring

import (
	"cmp"
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

func (r *Ring) failover(ctx context.Context, before *arcv1.StatusResponse, fault func() error) (Failover, error) {
	f := Failover{Old: before.GetLeader().GetName(), Before: before.GetTerm()}
	others := slices.ContainsFunc(r.Running(), func(n *Node) bool { return n.name != f.Old && n.name != before.GetHeir() })
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
	if others {
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
	h, err := n.history(ctx)
	if err != nil {
		return err
	}
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

// broken adds a violation of a check.
func (v *Verdict) broken(check, format string, args ...any) {
	v.Violations = append(v.Violations, check+": "+fmt.Sprintf(format, args...))
}

// Demo kills leader after leader until one is left, brings all back, kills
// once more so that a returned former leader takes over, and writes what it
// sees to w. The verdict is complete also if the error tells where it ended.
func (r *Ring) Demo(ctx context.Context, w io.Writer) (v Verdict, err error) {
	defer func() { v.Violations = append(v.Violations, r.Violations()...) }()
	start := time.Now()
	forming, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	st, err := r.AwaitRing(forming)
	if err != nil {
		return v, err
	}
	fmt.Fprintf(w, "ring of %d formed in %s: %s, token %d\n", len(st.GetMembers()), Ms(time.Since(start)), Picture(st), st.GetTerm())
	for len(r.Running()) > 1 {
		if st, err = r.demoFailover(ctx, w, st, &v); err != nil {
			return v, err
		}
	}
	fmt.Fprintf(w, "%s is alone; bringing the others back\n", st.GetSelf())
	if st, err = r.bringBack(ctx, w, st, &v); err != nil {
		return v, err
	}
	if st, err = r.demoFailover(ctx, w, st, &v); err != nil {
		return v, err
	}
	if _, err = r.bringBack(ctx, w, st, &v); err != nil {
		return v, err
	}
	for _, n := range r.Running() {
		if _, err := n.history(ctx); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (r *Ring) demoFailover(ctx context.Context, w io.Writer, before *arcv1.StatusResponse, v *Verdict) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*stepWithin)
	defer cancel()
	old := r.Named(before.GetLeader().GetName())
	h, err := old.history(ctx)
	if err != nil {
		return nil, err
	}
	if want := wire.Heir(before, h); before.GetHeir() != want {
		v.broken("G3", "%s names %q as heir, by the rule it is %q", before.GetSelf(), before.GetHeir(), want)
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
		v.broken("G3", "%s took over from %s, but %s was the heir", f.New, f.Old, before.GetHeir())
	}
	if f.Token <= before.GetTerm() {
		v.broken("G1", "token %d of %s is not above %d of %s", f.Token, f.New, before.GetTerm(), f.Old)
	}
	elsewhere := "nobody else left"
	if f.Elsewhere > 0 {
		elsewhere = "seen elsewhere after " + Ms(f.Elsewhere)
	}
	if f.Declared > 1 {
		elsewhere += fmt.Sprintf(", declared %d times", f.Declared)
	}
	fmt.Fprintf(w, "kill -9 %-4s → %-4s leads, token %d: %s; %s; %s, claimed after %s\n", f.Old, f.New, f.Token, f.Rule, cmp.Or(f.Evidence, "no evidence"), elsewhere, Ms(f.Claim))
	after, err := r.AwaitRing(ctx)
	if err != nil {
		return nil, fmt.Errorf("after %s took over from %s: %w", f.New, f.Old, err)
	}
	return after, nil
}

// bringBack starts all nodes that do not run. leader is the leader's status before.
func (r *Ring) bringBack(ctx context.Context, w io.Writer, leader *arcv1.StatusResponse, v *Verdict) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*stepWithin)
	defer cancel()
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
			v.broken("ids", "%s came back under id %d, which is not above %d", m.GetName(), m.GetId(), highest)
		}
	}
	if st.GetTerm() != leader.GetTerm() {
		v.broken("stay", "the leadership changed from token %d to %d while others came back", leader.GetTerm(), st.GetTerm())
	}
	return st, nil
}

// ErrBroken: a demonstration saw a guarantee broken.
var ErrBroken = errors.New("a guarantee did not hold")

// Summary writes the medians and the verdict, and returns ErrBroken if a
// guarantee did not hold.
func (v Verdict) Summary(w io.Writer, terms int) error {
	v.times(w)
	for _, rule := range []struct {
		check, says string
		unasked     bool // it is named only when it is broken
	}{
		{"G1", fmt.Sprintf("tokens rise, one leader per term (%d terms, all nodes' streams merged)", terms), false},
		{"G2", "a claim is over before one with a higher token begins", true},
		{"G3", fmt.Sprintf("each of %d new leaders was the heir", len(v.Failovers)), false},
		{"ids", "an id is given once, and higher than all before it", true},
		{"stay", "the leader stays when others come back", true},
	} {
		broken := slices.DeleteFunc(slices.Clone(v.Violations), func(x string) bool { return !strings.HasPrefix(x, rule.check+":") })
		if len(broken) > 0 {
			fmt.Fprintf(w, "BROKEN  %s: %s\n        %s\n", rule.check, rule.says, strings.Join(broken, "\n        "))
		} else if !rule.unasked {
			fmt.Fprintf(w, "held    %s: %s\n", rule.check, rule.says)
		}
	}
	if len(v.Violations) > 0 {
		return ErrBroken
	}
	return nil
}

// times writes the medians. Both are over the same failovers: those that a third
// node saw, if there are any.
func (v Verdict) times(w io.Writer) {
	var all, claim, elsewhere []time.Duration
	for _, f := range v.Failovers {
		all = append(all, f.Claim)
		if f.Elsewhere > 0 {
			claim, elsewhere = append(claim, f.Claim), append(elsewhere, f.Elsewhere)
		}
	}
	switch {
	case len(all) == 0:
		return
	case len(elsewhere) == 0:
		fmt.Fprintf(w, "%s; median from kill -9 until claimed %s\n", Count(len(all), "failover"), Ms(Median(all)))
		return
	}
	seen := "; median from kill -9 until seen at a third node"
	if len(elsewhere) < len(all) {
		seen = fmt.Sprintf("; of the %d that a third node saw, median from kill -9 until seen there", len(elsewhere))
	}
	fmt.Fprintf(w, "%s%s %s, until claimed %s\n", Count(len(all), "failover"), seen, Ms(Median(elsewhere)), Ms(Median(claim)))
}

// Count is a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Median returns the middle of ds, 0 of none.
func Median(ds []time.Duration) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(ds))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Ms prints a duration in milliseconds.
func Ms(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
