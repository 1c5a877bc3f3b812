package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// quiet is a coordinator without a leader, of which nothing is heard after the
// first event.
func quiet() *fakearc.Server {
	s := noLeader()
	s.WatchFunc = func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
		if err := w.Send(&arcv1.WatchResponse{Event: fakearc.Event(nil, "snapshot", nil)}); err != nil {
			return err
		}
		<-w.Context().Done()
		return nil
	}
	return s
}

// A command that waits for something to print ends with its reader, as by a write
// that nobody reads: by SIGPIPE, without a word.
func TestAWaitEndsWithItsReader(t *testing.T) {
	for args, lines := range map[string]int{"watch": 1, "watch -o json": 1, "leader --wait": 0, "leader --wait --self --timeout 1m": 0} {
		t.Run(args, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "arc.sock")
			stop, err := quiet().Serve(path)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			cmd := exec.CommandContext(t.Context(), "arc", append(strings.Fields(args), "--addr", "unix://"+path)...)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for s := bufio.NewScanner(out); lines > 0 && s.Scan(); lines-- {
			}
			_ = out.Close()
			_ = cmd.Wait() // judged by its status
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGPIPE || said.Len() > 0 {
				t.Errorf("it ended with %v and said %q, want SIGPIPE and nothing", cmd.ProcessState, &said)
			}
		})
	}
}

// outputs can lose their readers.
var outputs = map[string]func(t *testing.T) (out *os.File, closeReader func() error){
	"pipe": func(t *testing.T) (*os.File, func() error) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return w, r.Close
	},
	"socket": func(t *testing.T) (*os.File, func() error) {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fds[0]), "writer"), os.NewFile(uintptr(fds[1]), "reader").Close
	},
}

func TestWhileRead(t *testing.T) {
	for what, open := range outputs {
		t.Run(what, func(t *testing.T) {
			f := testFactory()
			out, closeReader := open(t)
			defer out.Close()
			f.out = out
			ctx, release := f.whileRead(t.Context())
			if ctx.Err() != nil {
				t.Fatal("it ends while there is a reader")
			}
			if err := closeReader(); err != nil {
				t.Fatal(err)
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), errUnread) {
				t.Errorf("it ends with %v", context.Cause(ctx))
			}
			release()
		})
	}
}

// What has no reader to lose, or still has one, ends nothing.
func TestNothingElseIsUnread(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	pipe, closeReader := outputs["pipe"](t)
	defer closeReader()
	for _, out := range []*os.File{file, null, pipe} {
		stay, leave := outputs["pipe"](t)
		_ = leave() // or it would wait
		if unread(int(out.Fd()), int(stay.Fd())) {
			t.Errorf("%s: taken for one that nobody reads", out.Name())
		}
		_, _ = out.Close(), stay.Close()
	}
}
