package main

import (
	"io"
	"strings"
	"testing"
)

func TestMistakesAreToldTogether(t *testing.T) {
	cmd := newCommand(io.Discard, io.Discard)
	cmd.SetArgs(strings.Fields("--only vrrp --hosts 2 --faults kill,fire --within -1s --labs 0"))
	err := cmd.Execute()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"--only vrrp", "--hosts 2", "--faults fire", "--within", "--labs 0"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not name %s", err, want)
		}
	}
}

func TestTheListNeedsNoRights(t *testing.T) {
	var out strings.Builder
	cmd := newCommand(&out, io.Discard)
	cmd.SetArgs([]string{"--list"})
	if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), "arc/realtime") {
		t.Errorf("the list is %q (%v)", out.String(), err)
	}
}
