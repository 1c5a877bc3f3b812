package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// What other machines say of themselves steers no terminal, whichever command
// shows it, and adds no line to what is printed.
func TestForeignTextSteersNoTerminal(t *testing.T) {
	evil := "\x1b]0;title\x07\x1b[2J\u202e\u009b2J\x7f\r\nforged  line"
	st := &arcv1.StatusResponse{Cluster: evil, RingId: evil, Self: evil, Heir: evil, Phase: evil, Leader: &arcv1.NodeRef{Id: 1, Name: evil},
		Members:        []*arcv1.MemberStatus{{Id: 1, Name: evil, Addresses: []string{evil}, Monitors: evil, Version: evil}},
		OtherRings:     []*arcv1.OtherRing{{RingId: evil, Leader: evil, From: evil, Addresses: []string{evil}}},
		Departed:       []*arcv1.DepartedMember{{Id: 2, Name: evil, How: evil, Evidence: evil, SeenBy: evil}},
		MonitorMissing: evil, TemporaryLink: &arcv1.TemporaryLink{Target: evil}}
	ev := fakearc.Event(&arcv1.Event{Node: evil}, "other_ring", map[string]any{"split": evil, "addresses": []any{evil}})
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	s.Profile = evil
	r, err := devring.New(devring.Options{Arc: "/bin/true", Dir: t.TempDir(), Nodes: 1, Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // nothing was started

	var out bytes.Buffer
	f := newFactory()
	f.out, f.err = &out, &out
	f.size = func() (int, int) { return 80, 0 }
	v := newDevView(f, r, 0)
	v.ring = st
	v.add(&happening{time.Now(), "other_ring", evil, []string{evil}, essence(ev), ""})
	for _, c := range []struct {
		what  string
		print func() error
	}{
		{"status", func() error { return f.print(st, func(w io.Writer) { f.statusTable(w, st) }) }},
		{"leader", func() error { return f.print(st, func(w io.Writer) { leaderLine(w, st) }) }},
		{"event", func() error { return f.print(ev, func(w io.Writer) { line(w, "%s", eventText(ev)) }) }},
		{"timing", func() error { return newTimingTable(f, s) }},
		{"screen", func() error { f.terminal = true; defer func() { f.terminal = false }(); return v.draw(t.Context()) }},
		{"picture in a line", func() error { f.note("%s", devring.Picture(st)); return nil }},
		{"demonstration", func() error { _, err := io.WriteString(f.lines(), evil); return err }},
	} {
		t.Run(c.what, func(t *testing.T) {
			out.Reset()
			if err := c.print(); err != nil {
				t.Fatal(err)
			}
			got := out.String()
			if c.what == "screen" {
				for _, own := range []string{"\x1b[?7l", "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[?7h"} {
					got = strings.ReplaceAll(got, own, "")
				}
			}
			if strings.ContainsAny(got, "\x1b\x07\r\u202e\u009b\x7f") || !strings.Contains(got, `\x1b[2J`) {
				t.Errorf("printed %q", got)
			}
			if c.what != "demonstration" && strings.Contains(got, "\nforged") {
				t.Errorf("a line that was forged: %q", got)
			}
		})
	}
}

func newTimingTable(f *factory, s ring.Settings) error {
	t := newTiming(s, s.Assume(), nil)
	return f.print(t, t.table)
}

// The JSON means the same as without the escapes.
func TestForeignTextInJSON(t *testing.T) {
	evil := "\x1b[2J\u202e\u009b2J\x7f\U000e0001ü\"\\"
	var out bytes.Buffer
	f := newFactory()
	f.out, f.json = &out, true
	for what, v := range map[string]any{"a message": &arcv1.NodeRef{Id: 1, Name: evil}, "an own struct": map[string]string{"name": evil}} {
		out.Reset()
		if err := f.print(v, nil); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); strings.ContainsAny(got, "\x1b\u202e\u009b\x7f\U000e0001") || !strings.Contains(got, "ü") {
			t.Errorf("%s: printed %q", what, got)
		}
		var back struct{ Name string }
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Name != evil {
			t.Errorf("%s: read back %q, %v, want %q", what, back.Name, err, evil)
		}
	}
}
