package devring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// askWithin bounds one status call of a wait.
	askWithin = time.Second
	// pollLeast and pollMost bound how often a wait asks: at each event, but
	// not at every one of a storm.
	pollLeast = 10 * time.Millisecond
	pollMost  = 100 * time.Millisecond
)

// Until asks again and again, at events and at intervals, until ok returns
// nil. When ctx ends the error is ok's last one.
func (r *Ring) Until(ctx context.Context, what string, ok func(context.Context) error) error {
	mark := r.Mark()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		// A call that was cut off by the end of the wait says nothing.
		last := err
		if ctx.Err() == nil {
			if err := sleep(ctx, pollLeast); err == nil {
				_, next, news := r.News(mark)
				mark = next
				timer := time.NewTimer(pollMost)
				select {
				case <-news:
				case <-timer.C:
				case <-ctx.Done():
				}
				timer.Stop()
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("await %s: %w: %w", what, context.Cause(ctx), last)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AwaitLeader waits until all running nodes name the same leader and it
// claims, and returns the leader's own status.
func (r *Ring) AwaitLeader(ctx context.Context) (*arcv1.StatusResponse, error) {
	var st *arcv1.StatusResponse
	err := r.Until(ctx, "a leader", func(ctx context.Context) (err error) {
		st, err = r.leader(ctx, r.Running())
		return err
	})
	return st, err
}

func (r *Ring) leader(ctx context.Context, among []*Node) (*arcv1.StatusResponse, error) {
	if len(among) == 0 {
		return nil, errors.New("no node runs")
	}
	var name string
	for i, n := range among {
		st, err := n.Status(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", n.name, err)
		case st.GetLeader() == nil:
			return nil, fmt.Errorf("%s knows no leader: %s", n.name, st.GetReason())
		case i > 0 && st.GetLeader().GetName() != name:
			return nil, fmt.Errorf("%s says that %s leads, %s says %s", n.name, st.GetLeader().GetName(), among[0].name, name)
		}
		name = st.GetLeader().GetName()
	}
	n := r.Named(name)
	if n == nil {
		return nil, fmt.Errorf("%q leads, which is no node of ours", name)
	}
	st, err := n.Status(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s leads but: %w", name, err)
	case !st.GetClaiming():
		return nil, fmt.Errorf("%s is declared but does not claim: %s", name, st.GetReason())
	}
	return st, nil
}

// AwaitRing waits until the ring is whole over exactly the running nodes: all
// of them, and nobody else, are members and alive in the same epoch, everybody
// monitors the next, all who should vote do, one leads and claims; and that it
// stays so for settleFor. It returns the leader's status.
func (r *Ring) AwaitRing(ctx context.Context) (*arcv1.StatusResponse, error) {
	var st *arcv1.StatusResponse
	err := r.Until(ctx, "a whole ring", func(ctx context.Context) error {
		once, err := r.whole(ctx, r.Running())
		if err != nil {
			return err
		}
		if err := sleep(ctx, settleFor); err != nil {
			return fmt.Errorf("whole, but only just: %w", err)
		}
		st, err = r.whole(ctx, r.Running())
		if err == nil && st.GetEpoch() != once.GetEpoch() {
			err = fmt.Errorf("the epoch went from %d to %d", once.GetEpoch(), st.GetEpoch())
		}
		return err
	})
	return st, err
}

// settleFor is for what no status shows: an evicted voter is dropped from
// raft's configuration a little after the eviction, and a further crash in
// between takes one vote more than the members' list says.
const settleFor = 100 * time.Millisecond

func (r *Ring) whole(ctx context.Context, nodes []*Node) (*arcv1.StatusResponse, error) {
	st, err := r.leader(ctx, nodes)
	if err != nil {
		return nil, err
	}
	if err := closed(st, nodes); err != nil {
		return nil, fmt.Errorf("%s says: %w", st.GetSelf(), err)
	}
	for _, n := range nodes {
		other, err := n.Status(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", n.name, err)
		case other.GetStateHash() != st.GetStateHash() || other.GetEpoch() != st.GetEpoch():
			return nil, fmt.Errorf("%s is in epoch %d, state %.8s; the leader %s in %d, %.8s", n.name, other.GetEpoch(), other.GetStateHash(), st.GetSelf(), st.GetEpoch(), st.GetStateHash())
		case other.GetRingId() != st.GetRingId():
			return nil, fmt.Errorf("%s is in ring %s, the leader %s in %s", n.name, other.GetRingId(), st.GetSelf(), st.GetRingId())
		case other.GetPhase() != "member":
			return nil, fmt.Errorf("%s is %s", n.name, other.GetPhase())
		}
		if err := closed(other, nodes); err != nil {
			return nil, fmt.Errorf("%s says: %w", n.name, err)
		}
	}
	return st, nil
}

// closed checks that a status shows a ring over exactly the nodes.
func closed(st *arcv1.StatusResponse, nodes []*Node) error {
	members := st.GetMembers()
	var have, want []string
	voters := 0
	for _, m := range members {
		have = append(have, m.GetName())
		if m.GetVoter() {
			voters++
		}
	}
	for _, n := range nodes {
		want = append(want, n.name)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("members are %s, want %s", strings.Join(have, ", "), strings.Join(want, ", "))
	}
	if !slices.IsSortedFunc(members, func(a, b *arcv1.MemberStatus) int { return int(a.GetId()) - int(b.GetId()) }) {
		return fmt.Errorf("members are not in the order of their ids: %s", Picture(st))
	}
	for i, m := range members {
		next := ""
		if len(members) > 1 {
			next = members[(i+1)%len(members)].GetName()
		}
		switch {
		case m.GetMonitors() != next:
			return fmt.Errorf("%s monitors %q, want %q", m.GetName(), m.GetMonitors(), next)
		case !m.GetAlive():
			return fmt.Errorf("%s is suspect", m.GetName())
		}
	}
	if w := min(len(members), int(st.GetSettings().GetMaxVoters())); voters != w {
		return fmt.Errorf("%d voters, want %d", voters, w)
	}
	return nil
}

// Picture draws a ring in one line: n1* → n2+ → n3 → n1, the leader with a
// star, the heir with a plus, suspects with a question mark.
func Picture(st *arcv1.StatusResponse) string {
	if len(st.GetMembers()) == 0 {
		return "(no ring)"
	}
	var parts []string
	for _, m := range st.GetMembers() {
		name := foreign.Text(m.GetName())
		if st.GetLeader() != nil && m.GetId() == st.GetLeader().GetId() {
			name += "*"
		} else if m.GetName() == st.GetHeir() {
			name += "+"
		}
		if !m.GetAlive() {
			name += "?"
		}
		parts = append(parts, name)
	}
	if len(parts) > 1 {
		parts = append(parts, foreign.Text(st.GetMembers()[0].GetName()))
	}
	return strings.Join(parts, " → ")
}

// Report collects what a person needs after a failure: each node's state and
// the end of its log.
func (r *Ring) Report(ctx context.Context, logBytes int64) string {
	var b strings.Builder
	for _, n := range r.Nodes() {
		state := "not running"
		if n.Running() {
			st, err := n.Status(ctx)
			switch {
			case n.Stopped():
				state = "stopped"
			case err != nil:
				state = err.Error()
			default:
				state = fmt.Sprintf("epoch %d, token %d, claiming %v, %s, %s", st.GetEpoch(), st.GetTerm(), st.GetClaiming(), Picture(st), st.GetReason())
			}
		}
		fmt.Fprintf(&b, "--- %s (pid %d): %s\n%s\n", n.name, n.PID(), state, n.LogTail(logBytes))
	}
	return b.String()
}
