package alarms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
)

// Load is what else the machine does.
type Load string

const (
	// Rest: nothing.
	Rest Load = "rest"
	// Busy: as many programs as there are processors never rest.
	Busy Load = "busy"
)

// Burn keeps a processor busy until its input ends, which it does at the latest
// when the process that started it is gone.
func Burn(stdin io.Reader) {
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !over.Load() {
		}
	})
	// Whatever ends the input ends the work.
	_, _ = io.Copy(io.Discard, stdin)
	over.Store(true)
	wg.Wait()
}

// burners are processes that Burn.
type burners struct {
	cmds []*exec.Cmd
	ends []io.Closer
}

// burn starts one for each processor.
func burn(ctx context.Context, command []string) (*burners, error) {
	b := &burners{}
	for range runtime.NumCPU() {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		end, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep the processors busy: %w", err), b.stop())
		}
		b.cmds, b.ends = append(b.cmds, cmd), append(b.ends, end)
	}
	return b, nil
}

func (b *burners) stop() error {
	var errs []error
	for _, e := range b.ends {
		errs = append(errs, e.Close())
	}
	for _, c := range b.cmds {
		// One that was killed since ctx ended has done what it should, too.
		if err := c.Wait(); err != nil && c.ProcessState == nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
