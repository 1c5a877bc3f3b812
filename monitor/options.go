package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/queue"
)

// Options is what Run needs.
type Options struct {
	// Queue brings the links. Run closes it.
	Queue *queue.Receiver
	// LocalSocket is the path of the own coordinator's unix socket.
	LocalSocket string
	// CoordinatorPID is the own coordinator's process; 0 means who made the
	// queue.
	CoordinatorPID int
	// Incarnation is the own coordinator's, drawn at its start. Links of
	// another one are refused: a certificate speaks of this one alone.
	Incarnation uint64
	// Logger may be nil.
	Logger hclog.Logger
	// Doorbell rings when a link was queued, or when an operator wants a fresh
	// dial. Nil makes Run call Signals by itself.
	Doorbell <-chan os.Signal
	// CertifyFor bounds how long a certificate is handed around; 0 means durations.Certify.
	CertifyFor time.Duration

	// signals is for tests, which cannot rely on being quick.
	signals signalOrigin
}

func (o *Options) check() error {
	var errs []error
	if o.Queue == nil {
		errs = append(errs, errors.New("no queue"))
	}
	if o.LocalSocket == "" {
		errs = append(errs, errors.New("no local socket"))
	}
	if o.CoordinatorPID < 0 {
		errs = append(errs, fmt.Errorf("%d is no pid of a coordinator", o.CoordinatorPID))
	}
	if o.Queue != nil && o.CoordinatorPID == 0 {
		var err error
		if o.CoordinatorPID, err = o.Queue.MadeBy(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrOptions, errors.Join(errs...))
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.CertifyFor == 0 {
		o.CertifyFor = durations.Certify
	}
	if o.signals == (signalOrigin{}) {
		o.signals = signalOrigin{grace: durations.DoorbellWait, belongs: durations.DoorbellBelongs}
	}
	return nil
}

// Signals takes over the signals of a monitor process. Call it first of all: before
// it, SIGUSR1 ends the process. SIGUSR1 rings the returned doorbell. SIGTERM ends the
// returned context. SIGINT and SIGHUP are ignored. They reach every process of a
// terminal, and a monitor has to outlive its coordinator, which tells it a new log
// level. SIGPIPE is ignored too, because the dead coordinator's log, which nobody
// reads any more, must not end the monitor. stop gives SIGUSR1 and SIGTERM back.
func Signals(parent context.Context) (ctx context.Context, doorbell <-chan os.Signal, stop func()) {
	alarmC := make(chan os.Signal, 1)
	signal.Notify(alarmC, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(parent, syscall.SIGTERM)
	return ctx, alarmC, func() {
		signal.Stop(alarmC)
		cancel()
	}
}
