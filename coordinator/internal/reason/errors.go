package reason

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/ring"
)

var (
	// ErrUsage: the options contradict themselves or what is on the disk.
	ErrUsage = errors.New("usage")
	// ErrRunning: another coordinator has the run directory.
	ErrRunning = errors.New("another coordinator is running")
	// ErrNotJoined: this coordinator is not a member of a ring (yet).
	ErrNotJoined = errors.New("not a member of a ring yet")
	// ErrIsMember: only former members can be forgotten.
	ErrIsMember = errors.New("a member of the ring")
	// ErrWitness: a witness never leads.
	ErrWitness = errors.New("a witness never leads")
	// ErrOverload: the event loop's inbox is full.
	ErrOverload = errors.New("too many requests at once")
	// ErrSlowWatcher: a watcher did not take its events in time.
	ErrSlowWatcher = errors.New("watcher too slow")
	// ErrStopping: this coordinator is about to end.
	ErrStopping = errors.New("this coordinator is stopping")
	// ErrStorage: the log could not be written.
	ErrStorage = errors.New("the log cannot be written")
	// ErrUnreachable: a member that has to act itself does not answer.
	ErrUnreachable = errors.New("unreachable")
	// ErrDenied: the caller is not who may call this.
	ErrDenied = errors.New("denied")
	// ErrCertificateEnded: the caller's certificate was good when the call began.
	ErrCertificateEnded = errors.New("the client's certificate has ended")
)

// errorTable says which gRPC code and reason a sentinel has. The first match
// counts.
var errorTable = []struct {
	is     error
	code   codes.Code
	reason string
}{
	{membership.ErrNoLeader, codes.Unavailable, "NO_LEADER"},
	{ErrNotJoined, codes.Unavailable, "NOT_JOINED"},
	{ErrStopping, codes.Unavailable, "STOPPING"},
	{ErrStorage, codes.Unavailable, "STORAGE"}, // it ends, so another leader may do it
	{ErrOverload, codes.ResourceExhausted, "OVERLOAD"},
	{ErrSlowWatcher, codes.ResourceExhausted, "SLOW_WATCHER"},
	{ErrUnreachable, codes.FailedPrecondition, "UNREACHABLE"},
	{ErrDenied, codes.PermissionDenied, "DENIED"},
	{ErrCertificateEnded, codes.Unauthenticated, "CERTIFICATE_ENDED"},
	{membership.ErrOtherRing, codes.FailedPrecondition, "OTHER_RING"},
	{membership.ErrLastMember, codes.FailedPrecondition, "LAST_MEMBER"},
	{ErrIsMember, codes.FailedPrecondition, "IS_MEMBER"},
	{ErrWitness, codes.FailedPrecondition, "WITNESS"},
	{election.ErrNotLeader, codes.Unavailable, "NO_LEADER"},
	{election.ErrLeadershipLost, codes.Aborted, "LEADERSHIP_LOST"},
	{election.ErrBusy, codes.Aborted, "BUSY"},
	{election.ErrIsLeader, codes.FailedPrecondition, "IS_LEADER"},
	{election.ErrRests, codes.FailedPrecondition, "RESTS"},
	{election.ErrNoHeir, codes.FailedPrecondition, "NO_HEIR"},
	{election.ErrNoAnswer, codes.DeadlineExceeded, "NO_ANSWER"},
	{election.ErrUnable, codes.FailedPrecondition, "UNABLE"},
	{election.ErrRemoved, codes.Unavailable, "REMOVED"},
	{election.ErrSuperseded, codes.FailedPrecondition, "SUPERSEDED"},
	{ring.ErrNameInUse, codes.AlreadyExists, "NAME_IN_USE"},
	{ring.ErrNotMember, codes.NotFound, "NOT_MEMBER"},
	{ring.ErrStale, codes.FailedPrecondition, "STALE"},
	{ring.ErrNotHeir, codes.FailedPrecondition, "NOT_HEIR"},
	{ring.ErrInvalid, codes.InvalidArgument, "INVALID"},
	{discovery.ErrOtherNode, codes.FailedPrecondition, "OTHER_NODE"},
	{ErrUsage, codes.InvalidArgument, "USAGE"},
	{context.Canceled, codes.Canceled, ""},
	{context.DeadlineExceeded, codes.DeadlineExceeded, ""},
}

// ToStatus turns an error into what goes over the wire. An error that already
// is a gRPC status (a leader's answer to a forwarded call) passes unchanged,
// unless an error of this node's is around it, which says more. A status inside an error
// is told in plain words.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	for _, row := range errorTable {
		if !errors.Is(err, row.is) {
			continue
		}
		st := status.New(row.code, foreign.Report(foreign.Plain(err.Error())))
		if row.reason != "" {
			if with, derr := st.WithDetails(&errdetails.ErrorInfo{Reason: row.reason, Domain: connect.ReasonDomain}); derr == nil {
				st = with
			}
		}
		return st.Err()
	}
	var already interface{ GRPCStatus() *status.Status }
	if errors.As(err, &already) {
		return already.GRPCStatus().Err()
	}
	return status.Error(codes.Internal, foreign.Report(foreign.Plain(err.Error())))
}

// Of returns the reason that ToStatus put into a gRPC error, or "".
func Of(err error) string { return connect.ToldReason(err) }

// usageError is an ErrUsage whose text does not begin with the word.
type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{ErrUsage, e.error} }

// Usagef makes an ErrUsage whose text does not begin with that word.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
