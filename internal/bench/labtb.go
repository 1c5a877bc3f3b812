package bench

import (
	"errors"
	"fmt"
	"os"
)

// errDenied is the error of a lab that may not be made here.
var errDenied = errors.New("no lab")

// labTB stands in for a test: it holds what a lab wants cleaned up, and turns
// a lab's fatal complaint into an error of do.
type labTB struct {
	say      func(format string, args ...any)
	cleanups []func()
}

// complaint is what Fatalf and Skipf panic with, for do to catch.
type complaint struct{ err error }

func (tb *labTB) Helper() {}

func (tb *labTB) Fatalf(format string, args ...any) {
	panic(complaint{fmt.Errorf(format, args...)})
}

func (tb *labTB) Skipf(format string, args ...any) {
	panic(complaint{fmt.Errorf("%w: %s", errDenied, fmt.Sprintf(format, args...))})
}

func (tb *labTB) Logf(format string, args ...any) { tb.say(format, args...) }

func (tb *labTB) Cleanup(f func()) { tb.cleanups = append(tb.cleanups, f) }

// TempDir is removed by end.
func (tb *labTB) TempDir() string {
	dir, err := os.MkdirTemp("", "arc-bench")
	if err != nil {
		tb.Fatalf("make a directory: %w", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// do runs f and returns its error or the lab's complaint.
func (tb *labTB) do(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c, ok := p.(complaint)
			if !ok {
				panic(p)
			}
			err = c.err
		}
	}()
	return f()
}

// end cleans up, last in first out.
func (tb *labTB) end() {
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		tb.cleanups[i]()
	}
	tb.cleanups = nil
}
