package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
)

func newWatchCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Events as they happen, until interrupted",
		Long: `Prints the present state as one snapshot event, then every event after it, one
a line. Times are UTC. It ends when it is interrupted (exit 0), when the
coordinator goes away (exit 4), when the certificate of --certificate ends (exit 1),
or by SIGPIPE when nobody reads its output any more. --timeout bounds only how long
the first event may take.

One more snapshot follows when the coordinator was out of the ring and is back; it
stands for what was missed. One also follows when a leader that was reported lost
is known again with the same token.

A leader_declared is told before its leader claims. Its gap_ms in the JSON ends at
the declaration; in "arc history" it ends at the first claim, which is later.

Events: joined left evicted leader_declared leader_lost claim_gained claim_lost
relinked suspected cleared certified settings_changed monitor_lost monitor_back
other_ring path_down path_up path_gone`,
		Example: `  arc watch
  arc watch -o json | jq -r 'select(.type == "leader_declared") | .node'`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.watch(cmd.Context()) },
	}
}

func (f *factory) watch(interrupt context.Context) error {
	c, err := f.connect(f.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	interrupt, release := f.whileRead(interrupt)
	defer release()

	ctx, cancel := context.WithCancelCause(interrupt)
	defer cancel(nil)
	late := time.AfterFunc(f.timeout, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	stream, err := c.Watch(ctx)
	if err != nil {
		return f.watchEnded(ctx, interrupt, err)
	}
	for first := true; ; first = false {
		ev, err := stream.Recv()
		if err != nil {
			return f.watchEnded(ctx, interrupt, err)
		}
		if first && !late.Stop() {
			continue // the timer has fired: the next Recv says so
		}
		if err := f.print(ev, func(w io.Writer) { line(w, "%s", eventText(ev)) }); err != nil {
			return err
		}
	}
}

// watchEnded is the outcome of a watch with ctx that ended with err: nothing is
// wrong after an interrupt by a signal.
func (f *factory) watchEnded(ctx, interrupt context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(interrupt), errUnread):
		return errUnread
	case interrupt.Err() != nil:
		return nil
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded) && !errors.Is(err, client.ErrUnreachable):
		return &client.Error{Op: "watch", Addr: f.addr, Kind: client.ErrUnreachable, Cause: fmt.Errorf("no event came within %v", f.timeout)}
	}
	return err
}
