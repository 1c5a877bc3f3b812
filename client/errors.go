package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/trust"
)

var (
	// ErrBadAddr: the address cannot be understood.
	ErrBadAddr = errors.New("bad address")
	// ErrCertificate: the certificate or the secret file cannot be used, or the
	// certificate has ended since.
	ErrCertificate = errors.New("no certificate to show")
	// ErrClosed: Close was called; the coordinator was not asked, or did not
	// answer before.
	ErrClosed = errors.New("the client is closed")
	// ErrUnreachable: no coordinator answers at the address, or the one there stops.
	ErrUnreachable = errors.New("coordinator unreachable")
	// ErrNoLeader: the ring has no leader now, or lost it during the call; a
	// change may or may not take effect.
	ErrNoLeader = errors.New("no leader")
	// ErrNotLeading: the ring has a leader, and it is not the coordinator that was
	// asked.
	ErrNotLeading = errors.New("not leading")
	// ErrInvalid: the coordinator refuses an argument.
	ErrInvalid = errors.New("invalid argument")
	// ErrNotMember: the named member is not in the ring.
	ErrNotMember = errors.New("not a member")
	// ErrRefused: the ring's state does not allow the change.
	ErrRefused = errors.New("refused")
	// ErrTimeout: the coordinator took the call but did not answer in time; a
	// change may or may not take effect.
	ErrTimeout = errors.New("the coordinator took the call but did not answer in time")
	// ErrTooOld: the coordinator does not know the call.
	ErrTooOld = errors.New("not known to this coordinator")
)

// kinds maps what a coordinator answers to the sentinels above. Unavailable is
// the coordinator's own word here; a transport's is ErrUnreachable.
var kinds = map[codes.Code]error{
	codes.InvalidArgument:    ErrInvalid,
	codes.NotFound:           ErrNotMember,
	codes.AlreadyExists:      ErrRefused,
	codes.FailedPrecondition: ErrRefused,
	codes.PermissionDenied:   ErrRefused,
	codes.Unauthenticated:    ErrCertificate,
	codes.ResourceExhausted:  ErrRefused,
	codes.Unavailable:        ErrNoLeader,
	codes.Aborted:            ErrNoLeader,
	codes.DeadlineExceeded:   ErrTimeout,
	codes.Unimplemented:      ErrTooOld,
}

// storageReason: the coordinator could not write its log, and ends.
const storageReason = "STORAGE"

// kindOf says which sentinel a coordinator's answer is, nil for none.
func kindOf(err error) error {
	switch connect.ToldReason(err) { // those that their code alone would put elsewhere
	case "STOPPING":
		return ErrUnreachable
	case "BUSY":
		return ErrRefused
	case storageReason:
		return nil
	}
	return kinds[status.Code(err)]
}

// Error is what the methods of a Client and of a Stream return. errors.Is finds
// its kind, which is a sentinel of this package, and its cause. If the caller's
// context was over, it also finds context.Canceled or context.DeadlineExceeded; the
// latter also if it was cancelled with that cause.
type Error struct {
	// Op is the call in words, such as "handover".
	Op string
	// Addr is the coordinator that was asked.
	Addr string
	// Kind is one of the sentinels, or nil: the coordinator failed, and says how; or
	// the caller's context was over.
	Kind error
	// Cause is what the transport or the coordinator said.
	Cause error
	// Hint says what to do, may be empty.
	Hint string

	// answered: the coordinator itself said Cause.
	answered bool
	// over is how the caller's context ended; nil: the call did not end with it.
	over error
}

func (e *Error) Error() string {
	text := e.Op
	if e.Kind == ErrUnreachable && !e.answered {
		text += ": no answer from " + e.Addr
	}
	text += ": " + status.Convert(e.Cause).Message()
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap returns the kind, the cause and the end of the caller's context, those
// of them that there are.
func (e *Error) Unwrap() []error {
	return slices.DeleteFunc([]error{e.Kind, e.Cause, e.over}, func(err error) bool { return err == nil })
}

// refuse returns why a call must not begin, nil if it may: the client is closed,
// or ctx was over before.
func (c *Client) refuse(ctx context.Context, op string) error {
	switch {
	case c.closed.Err() != nil:
		return &Error{Op: op, Addr: c.addr, Kind: ErrClosed, Cause: ErrClosed}
	case ctx.Err() != nil:
		over := ended(ctx)
		return &Error{Op: op, Addr: c.addr, Cause: fmt.Errorf("nothing was asked, since the context was over before the call: %w", over), over: over}
	}
	return nil
}

// ended returns how ctx ended, nil if it did not: its error, and its cause if
// that says more. A context that was cancelled with the cause DeadlineExceeded ended
// by a deadline, one that its owner could take back. The other side may notice a deadline before the timer of ctx
// has fired here.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if deadline, ok := ctx.Deadline(); err == nil && ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, err) || errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// explain turns an RPC's error into an *Error. answered reports whether the
// error is the coordinator's word.
func (c *Client) explain(ctx context.Context, op string, err error, answered bool) error {
	if err == nil {
		return nil
	}
	code := status.Code(err)
	// A deadline ends a call on both sides; whichever is first, and however
	// the other puts it, it means the same.
	late := code == codes.Canceled ||
		code == codes.DeadlineExceeded && (!answered || status.Convert(err).Message() == context.DeadlineExceeded.Error())
	e := &Error{Op: op, Addr: c.addr, Cause: err, Kind: kindOf(err), answered: answered}
	if late {
		e.over = ended(ctx)
	}
	if code == codes.DeadlineExceeded && late && e.over == nil {
		e.over = context.DeadlineExceeded
	}
	unconnected := c.dialErr.Load()
	switch {
	case errors.Is(e.over, context.Canceled):
		e.Kind, e.Cause = nil, e.over
	case !answered && c.closed.Err() != nil:
		e.Kind, e.Cause = ErrClosed, ErrClosed
	case !answered && (code == codes.Unavailable || late && unconnected != nil):
		e.Kind = ErrUnreachable
		if unconnected != nil {
			e.Cause = *unconnected
		}
		if errors.Is(e.Cause, trust.ErrEnded) {
			e.Kind = ErrCertificate // this client is not let in again
		}
		e.Hint = hint(e.Cause, c.addr, os.Geteuid(), os.Lstat)
	case answered && connect.ToldReason(err) == storageReason:
		e.Hint = "that coordinator ends; a change may or may not take effect: look with arc status at another member"
	case late:
		e.Kind, e.Cause = ErrTimeout, ErrTimeout
		if op != "status" {
			e.Hint = "see what the ring is doing with: arc status"
		}
	}
	return e
}

// hint says what the user uid can do about a coordinator that does not answer at
// addr. look is os.Lstat.
func hint(cause error, addr string, uid int, look func(path string) (fs.FileInfo, error)) string {
	switch {
	case errors.Is(cause, fs.ErrNotExist) || errors.Is(cause, syscall.ECONNREFUSED):
		return cmp.Or(elsewhere(addr, uid, look), "is a coordinator running there? start one with arc coordinator, or name another with --addr")
	case errors.Is(cause, fs.ErrPermission):
		return "run as the coordinator's user, or as root"
	case errors.Is(cause, errSecured):
		return "show a certificate with --certificate FILE, or give the cluster's --secret-file"
	case errors.Is(cause, trust.ErrClear):
		return "ask it at its unix socket, or without --certificate and a secret file"
	case errors.Is(cause, trust.ErrEnded):
		return "take a new certificate from `arc secret issue`, or from your own authority"
	case errors.Is(cause, trust.ErrCertificate):
		return "take a new certificate from `arc secret issue` if the secret was replaced; arc secret show lists the secrets of a file"
	case errors.Is(cause, errNoGreeting):
		return "the coordinator may hang; its monitor kills it after hang_after_ms"
	default:
		return "name another coordinator with --addr"
	}
}

// elsewhere names root's coordinator to a user who asked another socket of this
// machine; "" if there is none.
func elsewhere(addr string, uid int, look func(path string) (fs.FileInfo, error)) string {
	roots := SocketAddr(rootRunDir)
	asked, err := parseAddr(addr)
	if err != nil || !strings.HasPrefix(asked, unixPrefix) || asked == roots {
		return ""
	}
	switch _, err := look(filepath.Join(rootRunDir, SocketName)); {
	case err == nil && uid == 0:
		return "this machine's coordinator is at " + roots + ": give --addr " + roots
	case err == nil:
		return "root's coordinator is at " + roots + ": run as root, or give --addr " + roots + " if you may use it"
	case errors.Is(err, fs.ErrPermission):
		return rootRunDir + " is closed to you: if root's coordinator runs there, run as root to ask it"
	}
	return ""
}

// errNoGreeting: somebody accepted the connection and then said nothing.
var errNoGreeting = errors.New("connected, but nothing is said there")

// errSecured: the coordinator most likely speaks TLS, and this client does not. It may
// also be that too many connect.
var errSecured = errors.New("the connection was ended before an answer; a coordinator does that if no certificate is shown, or if too many connect")

// errNotConnected: no dial has ended yet, neither well nor badly.
var errNotConnected = errors.New("no connection came about in the time given")
