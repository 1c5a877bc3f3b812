package testwait

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a test that keeps what it fails with.
type failing struct{ said string }

func (*failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

// ends runs a wait that may end its test, and returns what that says.
func ends(wait func(T)) (said string) {
	f := &failing{}
	defer func() {
		if r := recover(); r != nil && r != f {
			panic(r)
		}
		said = f.said
	}()
	wait(f)
	return
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		ready := func() bool { asked++; return time.Since(began) >= time.Second }
		if said := ends(func(t T) { Until(t, 2*time.Second, "it is ready", ready) }); said != "" {
			t.Errorf("the test ends with %q", said)
		}
		if took := time.Since(began); took > time.Second+longestPause || asked > 300 {
			t.Errorf("asked %d times in %v, want some 200 times in 1s", asked, took)
		}
		if said := ends(func(t T) { Until(t, time.Second, "it rains", func() bool { return false }) }); said != "not within 1s: it rains" {
			t.Errorf("the test ends with %q", said)
		}
		missing := errors.New("no clouds")
		if said := ends(func(t T) { UntilNil(t, time.Second, "it rains", func() error { return missing }) }); !strings.HasSuffix(said, "it rains: no clouds") {
			t.Errorf("the test ends with %q", said)
		}
	})
}

func TestVirtual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, done := time.Now(), false
		time.AfterFunc(time.Hour, func() { done = true })
		Virtual(time.Hour)
		if !done || time.Since(began) != time.Hour {
			t.Errorf("after %v, what was due is done: %v", time.Since(began), done)
		}
	})
}
