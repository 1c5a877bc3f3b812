package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// drawn is a view of a ring of which no node was started. Its status says that all
// are members.
func drawn(t *testing.T, nodes int) *devView {
	t.Helper()
	r, err := devring.New(devring.Options{Arc: "/bin/true", Dir: t.TempDir(), Nodes: nodes, Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // nothing was started
	f := testFactory()
	f.terminal = true
	v := newDevView(f, r, 0)
	v.ring = &arcv1.StatusResponse{Leader: &arcv1.NodeRef{Id: 1, Name: "n1"}, Heir: "n2", Term: 1796071287, Epoch: 12}
	for i, n := range r.Nodes() {
		v.ring.Members = append(v.ring.Members, &arcv1.MemberStatus{Id: uint64(i + 1), Name: n.Name(), Monitors: "n1", Alive: true})
	}
	return v
}

func said(by, kind, node string, after time.Duration, detail map[string]any) observe.Event {
	return observe.Event{By: by, Event: fakearc.Event(&arcv1.Event{Time: timestamppb.New(founded.Add(after)), Node: node, Term: 1796071287, Epoch: 12}, kind, detail)}
}

const longWhy = "n1 is certified dead by its own monitor: gone; its monitor does not know why"

// Whatever the size of the terminal is, the picture is not larger. On a usual one
// the title, the ring, the reason of the newest event and the hints are seen.
func TestThePictureFitsTheTerminal(t *testing.T) {
	for _, nodes := range []int{1, 5, 30} {
		v := drawn(t, nodes)
		for i := range 2 * eventsShown {
			why := fmt.Sprintf("reason %d", i)
			if i == 2*eventsShown-1 {
				why = longWhy
			}
			if err := v.show([]observe.Event{said("n2", "leader_lost", "n1", time.Duration(i)*time.Second, map[string]any{"why": why})}); err != nil {
				t.Fatal(err)
			}
		}
		for _, size := range [][2]int{{0, 0}, {80, 0}, {80, 24}, {80, 25}, {100, 24}, {200, 60}, {40, 24}, {20, 10}, {80, 3}, {1, 1}} {
			cols, rows := size[0], size[1]
			lines := v.picture(cols, rows)
			if rows > 0 && len(lines) > rows {
				t.Errorf("%d nodes, %d×%d: %d lines", nodes, cols, rows, len(lines))
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); cols > 0 && n > cols || strings.Contains(l, "\n") {
					t.Errorf("%d nodes, %d×%d: a line of %d: %q", nodes, cols, rows, n, l)
				}
			}
			if cols < 80 || rows < 24 {
				continue
			}
			text := strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
			for _, want := range []string{"ring c of ", "n1* → ", "leader n1* next n2+", "NODE ID ", "last events", longWhy, "back a killed node stays dead"} {
				if nodes == 1 && want == "n1* → " {
					continue
				}
				if !strings.Contains(text, want) {
					t.Errorf("%d nodes, %d×%d: %q is not seen in\n%s", nodes, cols, rows, want, strings.Join(lines, "\n"))
				}
			}
			if nodes == 5 && !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "n5 ") }) {
				t.Errorf("%d×%d: n5 is left out of\n%s", cols, rows, strings.Join(lines, "\n"))
			}
			if nodes == 30 && rows == 24 && !strings.Contains(text, "more nodes") {
				t.Errorf("%d×%d: nodes are left out, which is not said:\n%s", cols, rows, strings.Join(lines, "\n"))
			}
		}
	}
}

// A line feed below the last line would move the title out of sight.
func TestDrawingDoesNotScroll(t *testing.T) {
	v := drawn(t, 5)
	for i := range eventsShown {
		if err := v.show([]observe.Event{said("n2", "leader_lost", "n1", time.Duration(i)*time.Second, map[string]any{"why": longWhy + fmt.Sprint(i)})}); err != nil {
			t.Fatal(err)
		}
	}
	for rows := 10; rows < 40; rows++ {
		var out bytes.Buffer
		v.f.out, v.f.size = &out, func() (int, int) { return 80, rows }
		if err := v.draw(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n >= rows {
			t.Errorf("%d rows: %d line feeds", rows, n)
		}
	}
}

// What several nodes say in the same words is one event, and each is named.
func TestThePictureNamesWhoSaysIt(t *testing.T) {
	v := drawn(t, 5)
	for _, ev := range []observe.Event{
		said("n4", "leader_lost", "n1", 0, map[string]any{"why": "refused"}),
		said("n2", "leader_lost", "n1", time.Second, map[string]any{"why": "refused"}),
		said("n5", "leader_lost", "n1", time.Second, map[string]any{"why": "refused"}),
		said("n3", "leader_lost", "n1", time.Second, map[string]any{"why": "silent"}),
		said("n5", "leader_lost", "n1", time.Second, map[string]any{"why": "refused"}),
		said("n3", "evicted", "n1", 2*time.Second, map[string]any{"id": "1", "incarnation": "7", "evidence": "certified", "by": "n2"}),
	} {
		if err := v.show([]observe.Event{ev}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"03:04:05.678Z  leader_lost      n1  n2,n4,n5: token 1796071287  refused",
		"03:04:06.678Z  leader_lost      n1  n3: token 1796071287  silent",
		"03:04:07.678Z  evicted          n1  n3: evidence=certified  by=n2",
	}
	if got := v.happened(80, 10); !slices.Equal(got, want) {
		t.Errorf("shown are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := sayers([]string{"n9", "n1", "n7", "n3"}); got != "n1,n3 and 2 more" {
		t.Errorf("four nodes are %q", got)
	}
}

// Without a terminal events come as lines, with the first node that says it.
func TestLinesNameWhoSaysIt(t *testing.T) {
	v := drawn(t, 2)
	var out bytes.Buffer
	v.f.out, v.f.terminal = &out, false
	for _, by := range []string{"n2", "n1"} {
		if err := v.show([]observe.Event{said(by, "left", "n3", 0, map[string]any{"id": "3"})}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := out.String(), "03:04:05.678Z  left             n3          token 1796071287 epoch 12  id=3  said_by=n2\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text         string
		cols, indent int
		most         int
		want         string
	}{
		{"as it is", 0, 4, 2, "as it is"},
		{"as it is", 8, 4, 2, "as it is"},
		{"one two three four", 9, 2, 0, "one two|  three|  four"},
		{"one two three four", 9, 2, 2, "one two|  three …"},
		{"one two three four", 9, 2, 1, "one two …"},
		{"unbroken", 4, 0, 0, "unbr|oken"},
		{"ab", 1, 4, 3, "a|…"},
		{"", 5, 0, 0, ""},
	} {
		if got := strings.Join(wrap(c.text, c.cols, c.indent, c.most), "|"); got != c.want {
			t.Errorf("%q in %d columns, %d lines: %q, want %q", c.text, c.cols, c.most, got, c.want)
		}
	}
}
