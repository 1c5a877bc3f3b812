package devring

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// askWithin bounds one call of a node.
	askWithin = time.Second
	// pollEvery is how often a wait asks.
	pollEvery = 50 * time.Millisecond
)

// Until asks again and again until ok returns nil. When ctx ends the error is ok's
// last one.
func (r *Ring) Until(ctx context.Context, what string, ok func(context.Context) error) error {
	var last error
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		// A call that was cut off by the end of the wait says nothing.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !connect.Wait(ctx, pollEvery) {
			return fmt.Errorf("await %s: %w: %w", what, context.Cause(ctx), last)
		}
	}
}

// Status asks one node.
func (n *Node) Status(ctx context.Context) (*arcv1.StatusResponse, error) {
	c, err := n.Client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return n.ring.Ask(ctx, n.name, c)
}

// history asks one node, and holds its answer against all that was heard.
func (n *Node) history(ctx context.Context) (*arcv1.HistoryResponse, error) {
	c, err := n.Client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	h, err := c.History(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	n.ring.CheckHistory(n.name, h)
	return h, nil
}

// judge asks all running nodes.
func (r *Ring) judge(ctx context.Context, of func([]*arcv1.StatusResponse) (*arcv1.StatusResponse, error)) (*arcv1.StatusResponse, error) {
	var answers []*arcv1.StatusResponse
	for _, n := range r.Running() {
		st, err := n.Status(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		answers = append(answers, st)
	}
	return of(answers)
}

// AwaitRing waits until the ring is whole over exactly the running nodes: all
// of them, and nobody else, are members and alive in the same epoch, everybody
// monitors the next, all who should vote do, one leads and claims; and that it
// stays so for settleFor. It returns the leader's status.
func (r *Ring) AwaitRing(ctx context.Context) (*arcv1.StatusResponse, error) {
	var st *arcv1.StatusResponse
	err := r.Until(ctx, "a whole ring", func(ctx context.Context) error {
		once, err := r.judge(ctx, observe.Whole)
		if err != nil {
			return err
		}
		if !connect.Wait(ctx, settleFor) {
			return fmt.Errorf("whole, but only just: %w", ctx.Err())
		}
		st, err = r.judge(ctx, observe.Whole)
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

// Picture draws a ring in one line: n1* → n2+ → n3 → n1, the leader with a
// star, the heir with a plus, those that are not alive with a question mark.
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
func (r *Ring) Report(ctx context.Context, logBytes int) string {
	var b strings.Builder
	for _, n := range r.Nodes() {
		state := "not running"
		if st, err := n.Status(ctx); err == nil {
			state = fmt.Sprintf("epoch %d, token %d, claiming %v, %s, %s", st.GetEpoch(), st.GetTerm(), st.GetClaiming(), Picture(st), st.GetReason())
		} else if n.Running() {
			state = err.Error()
		}
		fmt.Fprintf(&b, "--- %s (pid %d): %s\n%s\n", n.name, n.PID(), state, n.LogTail(logBytes))
	}
	return b.String()
}
