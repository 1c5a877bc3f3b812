package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/wal"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNoLeader    = 3
	exitUnreachable = 4
)

// exitMeanings is what `arc help exit-codes` prints.
var exitMeanings = []string{
	exitDone:        "done",
	exitFailed:      "failed: the coordinator refused it, or it did not happen in time",
	exitUsage:       "usage: the command line, an option or an argument is wrong",
	exitNoLeader:    "no leader, or in no ring yet; for `arc leader --self`: this machine does not lead now",
	exitUnreachable: "no coordinator answers at the address",
}

// exitTable says which error has which code; the first match counts, what
// matches none failed.
var exitTable = []struct {
	is   error
	code int
}{
	{errUsage, exitUsage},
	{client.ErrBadAddr, exitUsage},
	{client.ErrInvalid, exitUsage},
	{wal.ErrForeign, exitUsage}, // --name, --cluster or --data-dir is wrong
	{client.ErrNotLeading, exitNoLeader},
	{client.ErrNoLeader, exitNoLeader},
	{client.ErrUnreachable, exitUnreachable},
}

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	for _, row := range exitTable {
		if errors.Is(err, row.is) {
			return row.code
		}
	}
	return exitFailed
}

// A stopSignal is why a context ended: a signal to this process.
type stopSignal syscall.Signal

func (s stopSignal) Error() string { return "interrupted by " + unix.SignalName(syscall.Signal(s)) }

// Is says that a stopSignal is a cancel.
func (stopSignal) Is(target error) bool { return target == context.Canceled }

// orderly returns a context that the first SIGINT or SIGTERM ends, with a
// stopSignal as its cause. A later one ends the process at once. stop gives the
// signals back.
func orderly() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go takeSignals(ctx, signals, durations.SameSignal,
		func(s os.Signal) { cancel(stopSignal(s.(syscall.Signal))) }, func() { signal.Stop(signals) })
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// takeSignals calls first with the first signal and, when those that came within
// pause are swallowed, release: from then on a signal does what it does to any
// process.
func takeSignals(ctx context.Context, signals <-chan os.Signal, pause time.Duration, first func(os.Signal), release func()) {
	select {
	case s := <-signals:
		first(s)
	case <-ctx.Done():
		return
	}
	over := time.After(pause)
	for {
		select {
		case <-signals:
		case <-over:
			release()
			return
		}
	}
}

// errUnread: nobody reads stdout any more.
var errUnread = errors.New("nobody reads the output any more")

// whileRead returns a context that ends with the cause errUnread when nobody
// reads f.out any more: the program behind a pipe has ended, or a terminal is
// closed. A command that waits for something to print would otherwise notice with
// its next line only, and still does where the system has no descriptor left.
// release has to be called once.
func (f *factory) whileRead(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	alone := func() { cancel(nil) }
	file, ok := f.out.(*os.File)
	if !ok {
		return ctx, alone
	}
	raw, _ := file.SyscallConn() // fails only for a file that is nil
	stay, leave, err := os.Pipe()
	if err != nil {
		return ctx, alone
	}
	var polls sync.WaitGroup
	polls.Go(func() {
		_ = raw.Control(func(fd uintptr) { // fails only for a file that is closed
			if unread(int(fd), int(stay.Fd())) {
				cancel(errUnread)
			}
		})
	})
	return ctx, func() {
		_ = leave.Close()
		polls.Wait()
		_ = stay.Close()
		alone()
	}
}

// unread waits until nobody reads what is written to the descriptor out, and then
// returns true, or until stay has no writer.
func unread(out, stay int) bool {
	fds := []unix.PollFd{{Fd: int32(out)}, {Fd: int32(stay)}} // errors and hangups are always told
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			return true
		default:
			return false
		}
	}
}

// whileAttended is whileRead for a command that has to clean up: the context also
// ends, with a stopSignal, when the terminal is closed. Until release, a write that
// nobody reads fails in place of ending the process.
func (f *factory) whileAttended(ctx context.Context) (_ context.Context, release func()) {
	ctx, unwatch := f.whileRead(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	hangups, broken := make(chan os.Signal, 1), make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(hangups, syscall.SIGHUP)
	}
	signal.Notify(broken, syscall.SIGPIPE) // nobody takes it: the write tells
	var waits sync.WaitGroup
	waits.Go(func() {
		select {
		case <-hangups:
			cancel(stopSignal(syscall.SIGHUP))
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		signal.Stop(hangups)
		signal.Stop(broken)
		cancel(nil)
		waits.Wait()
		unwatch()
	}
}

// stoppedBy returns what ended a command that returned err, if that came from
// outside: a stopSignal, or errUnread; nil for all else. ctx is of whileAttended.
func stoppedBy(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	_, signalled := errors.AsType[stopSignal](cause)
	switch {
	case signalled || errors.Is(cause, errUnread):
		return cause
	case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EIO): // a write was faster; EIO is of a closed terminal
		return errUnread
	}
	return nil
}

// endUnread ends this process as a write that nobody reads does, by SIGPIPE. The
// Go runtime raises that only for a write to stdout or stderr. So stdout becomes a
// pipe without a reader; a named pipe may have a new one meanwhile.
func endUnread() {
	signal.Reset(syscall.SIGPIPE)
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	_ = r.Close()
	if err := unix.Dup3(int(w.Fd()), int(os.Stdout.Fd()), 0); err == nil {
		_, _ = os.Stdout.WriteString("\n")
	}
}
