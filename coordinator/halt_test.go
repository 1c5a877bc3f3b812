package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/wal"
)

// A disk that failed under a running node is waited for. One that cannot be used at
// the start is told to the one who starts it, and what a person has to decide always.
func TestWhichFaultOfTheDiskIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		halted bool
		want   bool
	}{
		{"the log, while it ran", fmt.Errorf("%w: write log: %w", reason.ErrStorage, unix.ENOSPC), false, true},
		{"opened at the start", fmt.Errorf("%w: %w", errOpenData, unix.ENOSPC), false, false},
		{"opened again", fmt.Errorf("%w: %w", errOpenData, unix.EROFS), true, true},
		{"its port was taken meanwhile", fmt.Errorf("listen: %w", unix.EADDRINUSE), true, false},
		{"taken away, while it ran", fmt.Errorf("%w: %w", reason.ErrStorage, wal.ErrRemoved), false, false},
		{"found damaged when it was opened again", fmt.Errorf("%w: %w", errOpenData, wal.ErrCorrupt), true, false},
		{"no fault", nil, true, false},
	} {
		if got := passes(c.err, c.halted); got != c.want {
			t.Errorf("%s: waited for %v, want %v", c.name, got, c.want)
		}
	}
}

// While the disk takes no writes, the node says so at its socket. It goes on as soon
// as the disk takes them, ends when it is told to, and leaves the rest to a person.
func TestAHaltedNodeWaitsForItsDisk(t *testing.T) {
	for name, c := range map[string]struct {
		// next is what the next look at the disk finds.
		next  error
		stop  bool
		ended bool
		err   error
	}{
		"goes on":               {},
		"is stopped":            {next: unix.EROFS, stop: true, ended: true},
		"its directory is gone": {next: wal.ErrRemoved, err: wal.ErrRemoved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t, "n1")
			o.Keys.Secret = filepath.Join(t.TempDir(), "secret") // on a bad disk, too
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			type end struct {
				ended bool
				err   error
			}
			ends, looks := make(chan end, 1), make(chan error, 1)
			looks <- unix.EROFS
			go func() {
				ended, err := awaitDisk(ctx, o, &publish.View{RingID: "r"}, fmt.Errorf("%w: %w", reason.ErrStorage, unix.EIO), func(dir string) error {
					if dir != o.DataDir {
						return fmt.Errorf("looks at %s", dir)
					}
					return <-looks
				})
				ends <- end{ended, err}
			}()
			api, err := client.New("unix://" + filepath.Join(o.RunDir, socketName))
			if err != nil {
				t.Fatal(err)
			}
			defer api.Close()
			testwait.Until(t, 10*time.Second, "the halted node says what it waits for", func() bool {
				st, err := api.Status(ctx)
				return err == nil && st.Phase == "halted" && st.RingId == "r" && st.SelfId == 0 && !st.Claiming && st.Security == "tls" && strings.Contains(st.Reason, unix.EROFS.Error())
			})
			if c.stop {
				stop()
			}
			looks <- c.next
			if got := <-ends; got.ended != c.ended || !errors.Is(got.err, c.err) {
				t.Errorf("ended %v, error %v; want %v, %v", got.ended, got.err, c.ended, c.err)
			}
			if _, err := os.Stat(filepath.Join(o.RunDir, coordinatorPidName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the run directory is not given back: %v", err)
			}
		})
	}
}
