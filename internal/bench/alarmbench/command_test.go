package main

import (
	"io"
	"strings"
	"testing"
)

// Mistakes in the flags are all told before anything is measured.
func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"curve --nodes 1 --for 0s", []string{"--nodes 1", "--for 0s"}},
		{"curve --intervals 0,2 --loads rest,asleep", []string{"--intervals 0", "--loads asleep"}},
		{"profiles --at-rest lan,slow", []string{`"slow"`}},
		{"profiles --busy quick --nodes 500", []string{`"quick"`, "--nodes 500"}},
		{"curve lan", []string{"lan"}},
	} {
		cmd := newCommand(strings.NewReader(""), io.Discard, io.Discard)
		cmd.SetArgs(strings.Fields(c.args))
		err := cmd.Execute()
		if err == nil {
			t.Errorf("%s: no error", c.args)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error %q does not name %s", c.args, err, w)
			}
		}
	}
}

func TestABurnerEndsWithItsInput(t *testing.T) {
	cmd := newCommand(strings.NewReader("x"), io.Discard, io.Discard)
	cmd.SetArgs([]string{"burn"})
	if err := cmd.Execute(); err != nil {
		t.Error(err)
	}
}
