package monitor

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// reportsKept bounds the reports that wait for the coordinator; the oldest
// are dropped, since suspicions are repeated.
const reportsKept = 64

// local keeps the stream to the own coordinator. run is its one goroutine,
// with a second one that sends; report belongs to the monitor's loop.
type local struct {
	o   *Options
	out chan *localv1.MonitorRequest
	// beat is the newest that was answered, 0 if none.
	beat atomic.Uint64
}

func newLocal(o *Options) *local {
	return &local{o: o, out: make(chan *localv1.MonitorRequest, reportsKept)}
}

// report queues a report and never waits.
func (l *local) report(r *localv1.MonitorRequest) {
	for {
		select {
		case l.out <- r:
			return
		default:
		}
		select {
		case <-l.out:
		default:
		}
	}
}

// run keeps the stream open until ctx ends.
func (l *local) run(ctx context.Context) {
	cc, err := new(connect.Dialer).Conn("unix://" + l.o.LocalSocket)
	if err != nil {
		l.o.Logger.Error("cannot report to the coordinator", "path", l.o.LocalSocket, "error", err)
		return
	}
	defer cc.Close()
	failures := 0
	for {
		registered, err := l.stream(ctx, cc)
		if ctx.Err() != nil {
			return
		}
		if registered {
			failures = 0
		}
		failures++
		if failures == 1 {
			l.o.Logger.Warn("the stream to the coordinator broke", "path", l.o.LocalSocket, "error", err)
		} else {
			l.o.Logger.Debug("the stream to the coordinator cannot be opened", "path", l.o.LocalSocket, "attempt", failures, "error", err)
		}
		if !connect.Wait(ctx, durations.Healing.Pause(failures)) {
			return
		}
	}
}

// stream registers and carries reports until the stream breaks. registered
// reports whether the coordinator answered anything.
func (l *local) stream(ctx context.Context, cc *grpc.ClientConn) (registered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	s, err := localv1.NewLocalServiceClient(cc).Monitor(ctx)
	if err != nil {
		return false, err
	}
	sending.Go(func() { l.send(ctx, s) })
	answer := &localv1.MonitorResponse{}
	for {
		if err := s.RecvMsg(answer); err != nil {
			return registered, err
		}
		registered = true
		l.setLevel(answer.GetLogLevel())
		if seq := answer.GetSeq(); seq != 0 { // else it tells its log level alone
			l.beat.Store(seq)
		}
	}
}

// send ends with the stream. The receiving side learns the cause.
func (l *local) send(ctx context.Context, s grpc.BidiStreamingClient[localv1.MonitorRequest, localv1.MonitorResponse]) {
	err := s.Send(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Registration{
		Registration: &localv1.Registration{Pid: int64(os.Getpid()), Incarnation: l.o.Incarnation},
	}})
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case r := <-l.out:
			err = s.Send(r)
		}
	}
}

// setLevel takes the coordinator's log level over. A name that is none changes
// nothing.
func (l *local) setLevel(name string) {
	level := hclog.LevelFromString(name)
	if level == hclog.NoLevel || level == l.o.Logger.GetLevel() {
		return
	}
	from := l.o.Logger.GetLevel()
	l.o.Logger.SetLevel(level)
	l.o.Logger.Info("log level is the coordinator's", "from", from, "to", level)
}
