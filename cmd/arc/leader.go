package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newLeaderCmd(f *factory) *cobra.Command {
	var self, wait bool
	cmd := &cobra.Command{
		Use:   "leader",
		Short: "The leader's name; with --self, whether it is this machine",
		Long: `Prints the leader's name. Exits 3 if there is none, or if the asked coordinator
has no proof that somebody leads: it heard nothing of the leader for a lease, or
it is itself a leader whose lease has run out.

With --self it exits 0 only if the asked coordinator leads now: its declaration
is committed, and its lease has not run out at the moment of asking.

With --wait it waits until there is a leader, or with --self until this machine
leads. The wait has no end unless --timeout is given. A coordinator that does not
answer at all is given up after the timeout in any case (exit 4).`,
		Example: `  arc leader
  arc leader --self && echo "I lead"
  arc leader --wait --timeout 30s`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := f.askLeader(cmd.Context(), self, wait)
			if st != nil {
				if perr := f.print(st, func(w io.Writer) { leaderLine(w, st) }); perr != nil {
					return perr
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&self, "self", false, "exit 0 only if this machine leads now")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until there is a leader")
	return cmd
}

func (f *factory) askLeader(ctx context.Context, self, wait bool) (*arcv1.StatusResponse, error) {
	if wait {
		return f.awaitLeader(ctx, self)
	}
	st, err := call(ctx, f, (*client.Client).Status)
	switch {
	case err != nil:
		return nil, asLeader(err, "leader")
	case st.GetLeader() == nil:
		return st, fmt.Errorf("%w: %s", client.ErrNoLeader, or(strings.TrimPrefix(st.GetReason(), "no leader known: ")))
	case self && !st.GetClaiming():
		return st, fmt.Errorf("%w: %s leads, not this node, %s", client.ErrNotLeading, st.GetLeader().GetName(), st.GetSelf())
	}
	return st, nil
}

func (f *factory) awaitLeader(ctx context.Context, self bool) (*arcv1.StatusResponse, error) {
	c, err := f.connect(f.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	ctx, release := f.whileRead(ctx)
	defer release()
	if f.timeoutSet {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	if err := f.reach(ctx, c); err != nil {
		return nil, asLeader(err, "leader")
	}
	st, err := c.AwaitLeader(ctx, self)
	op := "leader"
	if st != nil && f.timeoutSet {
		op += fmt.Sprintf(": waited %v", f.timeout)
	}
	return st, asLeader(err, op)
}

// asLeader names this command in an error of the calls that it makes.
func asLeader(err error, op string) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	named := *e
	named.Op = op
	return &named
}

// reach waits until the coordinator answers at all, at most for the timeout: a
// wait without end on a mistyped address would help nobody.
func (f *factory) reach(wait context.Context, c *client.Client) error {
	ctx, cancel := context.WithTimeout(wait, f.timeout)
	defer cancel()
	var unreachable error
	for {
		_, err := c.Status(ctx)
		late := errors.Is(err, context.DeadlineExceeded)
		switch {
		case errors.Is(err, client.ErrUnreachable):
			unreachable = err
		case late && unreachable != nil:
			// The end of the timeout cut this question short; what was before says more.
		case late && f.timeoutSet, wait.Err() != nil:
			return err
		default:
			return nil // reached; what it says is AwaitLeader's affair
		}
		select {
		case <-time.After(durations.Unreachable):
		case <-ctx.Done():
			return unreachable
		}
	}
}

func leaderLine(w io.Writer, st *arcv1.StatusResponse) {
	if st.GetLeader() != nil {
		line(w, "%s", st.GetLeader().GetName())
	}
}
