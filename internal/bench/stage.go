package bench

import (
	"errors"
	"fmt"
	"os"
)

// errDenied is the error of a lab that may not be made here.
var errDenied = errors.New("no lab")

// stage stands in for a test: it holds what a lab wants cleaned up, and turns
// a lab's fatal complaint into an error of do.
type stage struct {
	say      func(format string, args ...any)
	cleanups []func()
}

// complaint is what Fatalf and Skipf panic with, for do to catch.
type complaint struct{ err error }

func (s *stage) Helper() {}

func (s *stage) Fatalf(format string, args ...any) {
	panic(complaint{fmt.Errorf(format, args...)})
}

func (s *stage) Skipf(format string, args ...any) {
	panic(complaint{fmt.Errorf("%w: %s", errDenied, fmt.Sprintf(format, args...))})
}

func (s *stage) Logf(format string, args ...any) { s.say(format, args...) }

func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// TempDir is removed by end.
func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "arc-bench")
	if err != nil {
		s.Fatalf("make a directory: %w", err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// do runs f and returns its error or the lab's complaint.
func (s *stage) do(f func() error) (err error) {
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
func (s *stage) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
	s.cleanups = nil
}
