package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// What other machines say of themselves steers no terminal, whichever command
// shows it.
func TestForeignTextSteersNoTerminal(t *testing.T) {
	evil := "\x1b]0;title\x07\x1b[2J\u202e\r"
	st := &arcv1.StatusResponse{Cluster: evil, RingId: evil, Self: evil, Reason: evil, Heir: evil, Leader: &arcv1.NodeRef{Id: 1, Name: evil},
		Members: []*arcv1.MemberStatus{{Id: 1, Name: evil, Addresses: []string{evil}, Monitors: evil}}}
	ev := &arcv1.Event{Type: "joined", Node: evil, Detail: nil}
	var out bytes.Buffer
	f := newFactory()
	f.out = &out
	for _, print := range []func() error{
		func() error { return f.print(st, func(w io.Writer) error { return f.statusTable(w, st) }) },
		func() error { return f.print(st, func(w io.Writer) error { return leaderLine(w, st) }) },
		func() error { return f.print(ev, func(w io.Writer) error { return eventLine(w, ev) }) },
	} {
		if err := print(); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07\r\u202e") || !strings.Contains(got, `\x1b[2J`) {
		t.Errorf("printed %q", got)
	}
}
