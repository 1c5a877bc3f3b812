package testwait

import (
	"errors"
	"testing/synctest"
	"time"
)

// T is what a test needs to have: testing.TB, or a program that plays a test.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Until asks every few milliseconds, and more often at first, until the answer is
// yes; after limit it ends the test.
func Until(t T, limit time.Duration, what string, yes func() bool) {
	t.Helper()
	UntilNil(t, limit, what, func() error {
		if !yes() {
			return errNo
		}
		return nil
	})
}

var errNo = errors.New("no")

// UntilNil is Until for a question whose answer says what is missing.
func UntilNil(t T, limit time.Duration, what string, missing func() error) {
	t.Helper()
	pause := shortestPause
	for end := time.Now().Add(limit); ; time.Sleep(pause) {
		err := missing()
		switch {
		case err == nil:
			return
		case time.Now().After(end) && err == errNo:
			t.Fatalf("not within %v: %s", limit, what)
		case time.Now().After(end):
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		}
		pause = min(2*pause, longestPause)
	}
}

const (
	shortestPause = 50 * time.Microsecond
	longestPause  = 5 * time.Millisecond
)

// Virtual lets time pass in a synctest bubble, and then waits until whatever was
// due by then is done. Only the test's own goroutine may call it.
func Virtual(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Real lets time pass outside of a bubble: time in which something must not happen,
// which is measured, or for which something lasts. The reason is for the reader.
func Real(d time.Duration, _ string) { time.Sleep(d) }
