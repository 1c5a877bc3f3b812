package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/foreign"
)

// A factory is what commands take from the world.
type factory struct {
	in         io.Reader
	out, err   io.Writer
	env        func(string) (string, bool)
	environ    func() []string
	uid        int
	now        func() time.Time
	hostname   func() (string, error)
	executable func() (string, error)
	// terminal reports whether out is one. size returns its columns and rows, 0 where
	// they are not known.
	terminal bool
	size     func() (cols, rows int)

	// What the global flags say, set before a command runs.
	addr string
	// certificate and secret are the files that they name; "" without.
	certificate, secret string
	json                bool
	timeout             time.Duration
	timeoutSet          bool
	ran                 bool // a command was found and began; its errors are not about the command line
}

func newFactory() *factory {
	return &factory{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		env: os.LookupEnv, environ: os.Environ, uid: os.Geteuid(), now: time.Now,
		hostname: os.Hostname, executable: os.Executable,
		terminal: isTerminal(os.Stdout), size: func() (cols, rows int) { return terminalSize(os.Stdout) },
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && f.Name() != os.DevNull
}

func terminalSize(f *os.File) (cols, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}

// ownDir returns this user's directory of a kind: root's, or arc in the one that
// the variable names, or arc below the home directory; "" if none is known.
func (f *factory) ownDir(root, variable, below string) string {
	if f.uid == 0 {
		return root
	}
	if dir, ok := f.env(variable); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "arc")
	}
	if home, ok := f.env("HOME"); ok && filepath.IsAbs(home) {
		return filepath.Join(home, below, "arc")
	}
	return ""
}

// call connects to the coordinator and asks it within the global timeout.
func call[R any](ctx context.Context, f *factory, rpc func(*client.Client, context.Context) (R, error)) (answer R, err error) {
	c, err := f.connect(f.addr)
	if err != nil {
		return answer, err
	}
	defer func() { _ = c.Close() }() // nothing is buffered
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	return rpc(c, ctx)
}

// ask prints what the coordinator answers, for people as show does.
func ask[R any](cmd *cobra.Command, f *factory, rpc func(*client.Client, context.Context) (R, error), show func(io.Writer, R)) error {
	answer, err := call(cmd.Context(), f, rpc)
	if err != nil {
		return err
	}
	return f.print(answer, func(w io.Writer) { show(w, answer) })
}

// with is a call of the coordinator with its argument.
func with[A, R any](rpc func(*client.Client, context.Context, A) (R, error), arg A) func(*client.Client, context.Context) (R, error) {
	return func(c *client.Client, ctx context.Context) (R, error) { return rpc(c, ctx, arg) }
}

// note tells a person something that is no result.
func (f *factory) note(format string, args ...any) {
	_, _ = fmt.Fprintf(foreign.Writer(f.err), format+"\n", args...) // nobody else can be told
}
