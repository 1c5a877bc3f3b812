package discovery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// A ring was founded again from n3's disk, and its former self leads too. Each
// hears the other one, warns once, and goes on to report it.
func TestARingFoundedAgainAndItsFormerSelfAreToldApart(t *testing.T) {
	former := &discoveryv1.Ring{RingId: "r1", Leader: "n2"}
	again := &discoveryv1.Ring{RingId: "r1", Leader: "n3", RefoundedAt: 7, RefoundedFrom: "n3"}
	later := &discoveryv1.Ring{RingId: "r1", Leader: "n4", RefoundedAt: 9, RefoundedFrom: "n4"}
	leaderless := func(r *discoveryv1.Ring) *discoveryv1.Ring {
		return &discoveryv1.Ring{RingId: r.RingId, RefoundedAt: r.RefoundedAt, RefoundedFrom: r.RefoundedFrom}
	}
	for _, c := range []struct {
		name       string
		own, heard *discoveryv1.Ring
		want       string // "" for no report
	}{
		{"the former one hears the new one", former, again, "it was founded again from the disk of n3"},
		{"the new one hears the former one", again, former, "this one was founded again from the disk of n3"},
		{"two were founded again", again, later, "it was founded again from the disk of n4"},
		{"the same", again, again, ""},
		{"a former member that comes back", again, leaderless(former), ""},
		{"that hears the new one", leaderless(former), again, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "a", 0)
			b.setRing(b.now, c.own)
			warned, reported := 0, 0
			for range 100 {
				out := b.hears("m", func(h *discoveryv1.Hello) { h.Ring, h.Founding = c.heard, nil })
				out = append(out, b.hears("o", func(h *discoveryv1.Hello) { h.Ring, h.Founding = c.own, nil })...)
				for _, n := range of[note](out) {
					if n.level == hclog.Warn {
						warned++
						if text := fmt.Sprint(n.args...); c.want == "" || !strings.Contains(text, c.want) || !strings.Contains(text, TwoRingsHint) {
							t.Errorf("warning %q, want %q and what to do", text, c.want)
						}
					}
				}
				for _, r := range of[report](out) {
					reported++
					if !strings.Contains(r.ring.Split, c.want) || r.ring.Leader != c.heard.Leader || r.ring.RingId != "r1" {
						t.Errorf("report %+v", r.ring)
					}
				}
				b.after(time.Second)
			}
			if want := c.want != ""; want != (warned == 1) || want != (reported >= 9 && reported <= 11) {
				t.Errorf("%d warnings and %d reports in 100 s", warned, reported)
			}
		})
	}
}
