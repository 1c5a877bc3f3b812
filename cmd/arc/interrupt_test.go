package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// busy is a coordinator that answers nothing. It calls asked at each question.
func busy(asked func()) *fakearc.Server {
	return &fakearc.Server{
		StatusFunc:      waits[arcv1.StatusRequest, arcv1.StatusResponse](asked),
		HistoryFunc:     waits[arcv1.HistoryRequest, arcv1.HistoryResponse](asked),
		LeaveFunc:       waits[arcv1.LeaveRequest, arcv1.LeaveResponse](asked),
		EvictFunc:       waits[arcv1.EvictRequest, arcv1.EvictResponse](asked),
		ForgetFunc:      waits[arcv1.ForgetRequest, arcv1.ForgetResponse](asked),
		HandoverFunc:    waits[arcv1.HandoverRequest, arcv1.HandoverResponse](asked),
		RelinkFunc:      waits[arcv1.RelinkRequest, arcv1.RelinkResponse](asked),
		GetSettingsFunc: waits[arcv1.GetSettingsRequest, arcv1.GetSettingsResponse](asked),
		SetSettingsFunc: waits[arcv1.SetSettingsRequest, arcv1.SetSettingsResponse](asked),
		WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
			asked()
			<-w.Context().Done()
			return w.Context().Err()
		},
	}
}

func waits[Req, Resp any](asked func()) func(context.Context, *Req) (*Resp, error) {
	return func(ctx context.Context, _ *Req) (*Resp, error) {
		asked()
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

// A signal in the midst of a command: it says what was interrupted, by what.
func TestACommandSaysThatItWasInterrupted(t *testing.T) {
	for _, args := range []string{"status", "leader", "leader --self", "leader --wait", "history", "timing", "handover", "handover n2", "leave",
		"evict n2", "forget n2", "relink", "config get", "config set lease_ms=500", "watch"} {
		t.Run(args, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			path := filepath.Join(t.TempDir(), "arc.sock")
			stop, err := busy(func() { cancel(stopSignal(syscall.SIGTERM)) }).Serve(path)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			f := testFactory()
			f.out, f.err, f.now = io.Discard, io.Discard, time.Now
			err = execute(ctx, f, append(strings.Fields(args), "--addr", "unix://"+path, "--timeout", "1m"))
			if args == "watch" {
				if err != nil {
					t.Errorf("an interrupt is the way to end it: %v", err)
				}
				return
			}
			if code := exitCode(err); code != exitFailed || !strings.HasSuffix(err.Error(), ": interrupted by SIGTERM") {
				t.Errorf("exits %d: %v", code, err)
			}
		})
	}
}

// The question that stands before a change ends with a signal, too.
func TestAConfirmationCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	unanswered, keyboard := io.Pipe()
	defer keyboard.Close()
	var screen bytes.Buffer
	f := testFactory()
	f.in, f.err = unanswered, &screen
	cancel(stopSignal(syscall.SIGINT))
	if err := f.confirm(ctx); err == nil || err.Error() != "recover: interrupted by SIGINT, nothing was changed" || !strings.HasSuffix(screen.String(), ": \n") {
		t.Errorf("got %v, after %q", err, &screen)
	}
}
