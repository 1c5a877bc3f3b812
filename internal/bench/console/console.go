package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Run runs a program of this name and returns its exit code, after it has
// printed the error.
func Run(name string, execute func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// The first signal ends the run in order; the second ends the process, and
	// what it has started dies with it.
	defer context.AfterFunc(ctx, stop)()

	if err := execute(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Interrupted is err, but of a run that was interrupted it says only that.
func Interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; what was measured until then is kept")
	}
	return err
}

// Progress prints lines with the seconds since now.
func Progress(w io.Writer) func(format string, args ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(w, "%7.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// Directory makes the directory for the results; a new temporary one, with this
// in its name, if none is given.
func Directory(given, prefix string) (string, error) {
	dir, err := given, error(nil)
	if given == "" {
		dir, err = os.MkdirTemp("", prefix+"-"+time.Now().Format("20060102-150405")+"-")
	} else {
		err = os.MkdirAll(given, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make the directory for the results: %w", err)
	}
	return dir, nil
}
