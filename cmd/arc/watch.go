package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newWatchCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Events as they happen, until interrupted",
		Long: `Prints the present state as one snapshot event, then every event after it, one
a line, until it is interrupted (exit 0) or the coordinator goes away (exit 4).
A coordinator that was out of the ring and is back prints one more snapshot in
place of what it missed; so it does when a leader that was told as lost is known
again with the same token. --timeout bounds only how long the first event may take.

Events: joined left evicted leader_declared leader_lost claim_gained claim_lost
relinked suspected cleared certified settings_changed monitor_lost monitor_back
other_ring`,
		Example: `  arc watch
  arc watch -o json | jq -r 'select(.type == "leader_declared") | .node'`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.watch(cmd.Context()) },
	}
}

func (f *factory) watch(interrupt context.Context) error {
	c, err := client.New(f.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()

	ctx, cancel := context.WithCancel(interrupt)
	defer cancel()
	late := time.AfterFunc(f.timeout, cancel)
	defer late.Stop()
	stream, err := c.Watch(ctx)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		ev, err := stream.Recv()
		switch {
		case err != nil && interrupt.Err() != nil:
			return nil
		case errors.Is(err, context.Canceled):
			return &client.Error{Op: "watch", Addr: f.addr, Kind: client.ErrUnreachable, Cause: fmt.Errorf("no event came within %v", f.timeout)}
		case err != nil:
			return err
		}
		if first && !late.Stop() {
			continue // the timer has fired: the next Recv says so
		}
		if err := f.print(ev, func(w io.Writer) error { return eventLine(w, ev) }); err != nil {
			return err
		}
	}
}

// eventLine prints an event for people.
func eventLine(w io.Writer, ev *arcv1.Event) error {
	line(w, "%s  %-15s  %-10s  token %d epoch %d%s",
		ev.GetTime().AsTime().Local().Format("15:04:05.000"), ev.GetType(), or(ev.GetNode()), ev.GetTerm(), ev.GetEpoch(), details(ev))
	return nil
}

// details prints what an event says beyond its head. A snapshot's is a whole
// status, of which the essence is printed.
func details(ev *arcv1.Event) string {
	if ev.GetType() == "snapshot" {
		return snapshotEssence(ev.GetDetail())
	}
	var b strings.Builder
	fields := ev.GetDetail().GetFields()
	if s := fields["phases"].GetStructValue(); s != nil {
		p := &arcv1.Phases{}
		if into(s, p) == nil {
			fmt.Fprintf(&b, "  phases=%q", phases(p))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key == "why" && plain(fields[key]) == plain(fields["exit"]) {
			continue // a certificate's reason is how the process exited
		}
		if b, ok := fields[key].GetKind().(*structpb.Value_BoolValue); ok && !b.BoolValue {
			continue // what it is not goes without saying
		}
		if text := plain(fields[key]); text != "" && key != "term" && key != "name" && key != "phases" {
			fmt.Fprintf(&b, "  %s=%s", key, text)
		}
	}
	return b.String()
}

func plain(v *structpb.Value) string {
	switch v := v.GetKind().(type) {
	case *structpb.Value_NullValue, nil:
		return ""
	case *structpb.Value_StringValue:
		if strings.ContainsAny(v.StringValue, " \t\n") {
			return fmt.Sprintf("%q", v.StringValue)
		}
		return v.StringValue
	case *structpb.Value_NumberValue:
		return fmt.Sprintf("%g", v.NumberValue)
	case *structpb.Value_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *structpb.Value_ListValue:
		var parts []string
		for _, item := range v.ListValue.GetValues() {
			parts = append(parts, plain(item))
		}
		return strings.Join(parts, ",")
	default:
		return "…"
	}
}

// into reads a detail that is the JSON of a message.
func into(detail *structpb.Struct, m proto.Message) error {
	loose, err := protojson.Marshal(detail)
	if err != nil {
		return err
	}
	return (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(loose, m)
}

func snapshotEssence(detail *structpb.Struct) string {
	st := &arcv1.StatusResponse{}
	if into(detail, st) != nil {
		return ""
	}
	var names []string
	for _, m := range st.GetMembers() {
		names = append(names, m.GetName())
	}
	return fmt.Sprintf("  leader=%s heir=%s members=%s", or(st.GetLeader().GetName()), or(st.GetHeir()), or(strings.Join(names, ",")))
}
