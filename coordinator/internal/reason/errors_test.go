package reason

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/ring"
)

// An answer repeats no more of a request than a reader needs.
func TestStatusRepeatsNoMegabyte(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, err := range []error{fmt.Errorf("%w: %s", ring.ErrInvalid, long), errors.New(long), errors.New(strings.Repeat("x\n", 1<<19))} {
		if n := len(status.Convert(ToStatus(err)).Message()); n > 10_000 {
			t.Errorf("an error of %d bytes became a status of %d", len(err.Error()), n)
		}
	}
	if got := status.Convert(ToStatus(errors.New("\x1b[2J"))).Message(); got != `\x1b[2J` {
		t.Errorf("the status is %q", got)
	}
}

func TestToStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{nil, codes.OK, ""},
		{membership.ErrNoLeader, codes.Unavailable, "NO_LEADER"},
		{fmt.Errorf("forward: %w: x", membership.ErrNoLeader), codes.Unavailable, "NO_LEADER"},
		{election.ErrNotLeader, codes.Unavailable, "NO_LEADER"},
		{election.ErrLeadershipLost, codes.Aborted, "LEADERSHIP_LOST"},
		{fmt.Errorf("%w: %w", election.ErrBusy, errors.New("x")), codes.Aborted, "BUSY"},
		{ring.ErrNameInUse, codes.AlreadyExists, "NAME_IN_USE"},
		{ring.ErrNotMember, codes.NotFound, "NOT_MEMBER"},
		{ring.ErrInvalid, codes.InvalidArgument, "INVALID"},
		{fmt.Errorf("%w: x", discovery.ErrOtherNode), codes.FailedPrecondition, "OTHER_NODE"},
		{ErrStopping, codes.Unavailable, "STOPPING"},
		{fmt.Errorf("%w: %w", ErrStorage, errors.New("x")), codes.Unavailable, "STORAGE"},
		{Usagef("x"), codes.InvalidArgument, "USAGE"},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), codes.DeadlineExceeded, ""},
		{errors.New("surprise"), codes.Internal, ""},
	} {
		got := ToStatus(c.err)
		if status.Code(got) != c.code || Of(got) != c.reason {
			t.Errorf("%v becomes %v %q, want %v %q", c.err, status.Code(got), Of(got), c.code, c.reason)
		}
		if c.err != nil && status.Convert(got).Message() != c.err.Error() {
			t.Errorf("%v is told as %q", c.err, status.Convert(got).Message())
		}
	}
}

// A leader's answer to a forwarded call reaches the client as it was.
func TestToStatusKeepsAForwardedAnswer(t *testing.T) {
	leaders := ToStatus(fmt.Errorf("%w: n2 leads", election.ErrIsLeader))
	got := ToStatus(fmt.Errorf("forwarded: %w", leaders))
	if status.Code(got) != codes.FailedPrecondition || Of(got) != "IS_LEADER" {
		t.Errorf("got %v, want the leader's FailedPrecondition", got)
	}
}

// Every sentinel that a client can meet has a row.
func TestEverySentinelHasACode(t *testing.T) {
	for _, err := range []error{
		ErrUsage, membership.ErrOtherRing, membership.ErrNoLeader, ErrNotJoined, membership.ErrLastMember, ErrWitness, ErrOverload, ErrSlowWatcher, ErrStopping,
		ErrStorage, ErrDenied, ErrCertificateEnded, ErrUnreachable, election.ErrNotLeader, election.ErrLeadershipLost, election.ErrBusy,
		election.ErrIsLeader, election.ErrNoHeir, election.ErrNoAnswer, election.ErrUnable, election.ErrRemoved, ring.ErrNameInUse,
		ring.ErrNotMember, ring.ErrStale, ring.ErrNotHeir, ring.ErrInvalid,
	} {
		if c := status.Code(ToStatus(err)); c == codes.Internal || c == codes.Unknown {
			t.Errorf("%v becomes %v", err, c)
		}
	}
}

// What a dial met on the way does not stand in for what this node says of it.
func TestToStatusSaysWhatThisNodeSays(t *testing.T) {
	met := status.Error(codes.Unavailable, "connection error: desc = ...")
	for sentinel, reason := range map[error]string{membership.ErrNoLeader: "NO_LEADER", ErrUnreachable: "UNREACHABLE"} {
		got := ToStatus(fmt.Errorf("%w: forward to n2: %w; try again", sentinel, met))
		if msg := status.Convert(got).Message(); Of(got) != reason || !strings.HasSuffix(msg, "; try again") || strings.Contains(msg, "rpc error") {
			t.Errorf("%v: got %v", sentinel, got)
		}
	}
}
