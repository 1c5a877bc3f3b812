package coordinator

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// Who gives the ring a timing that is meant for --realtime is told once which
// members run without it.
func TestATimingForRealtimeNamesWhoRunsWithout(t *testing.T) {
	o := testOptions(t, "n1")
	o.Bootstrap = true
	n1 := start(t, o)
	n1.awaitLeader("n1", 1)
	var nodes []*testNode
	for _, name := range []string{"n2", "n3"} {
		o := testOptions(t, name)
		o.Join, o.Realtime = []string{n1.address()}, name == "n2"
		n := start(t, o)
		n.awaitLeader("n1", len(nodes)+2)
		nodes = append(nodes, n)
	}
	set := func(changes ...string) []string {
		t.Helper()
		m := map[string]string{}
		for _, c := range changes {
			key, value, _ := strings.Cut(c, "=")
			m[key] = value
		}
		r, err := nodes[0].client.SetSettings(nodes[0].ctx(), &arcv1.SetSettingsRequest{Changes: m}) // by any member
		if err != nil {
			t.Fatal(err)
		}
		return r.GetNotes()
	}
	fast, slow := []string{"leader_interval_ms=5", "leader_misses=3"}, []string{"leader_interval_ms=100", "leader_misses=5"}
	if notes := set(fast...); len(notes) != 1 || !strings.Contains(notes[0], "tolerated for 20ms") || !strings.Contains(notes[0], "--realtime; without it run: n1, n3;") {
		t.Errorf("notes %q, want one that names n1 and n3", notes)
	}
	if notes := set("misses=7"); len(notes) != 0 {
		t.Errorf("notes %q about what has not changed", notes)
	}
	if notes := set(slow...); len(notes) != 0 {
		t.Errorf("notes %q about a timing for everybody", notes)
	}
	nodes[1].crash()
	if notes := set(fast...); len(notes) != 2 || !strings.Contains(notes[0], "without it run: n1;") || !strings.Contains(notes[1], "no word came from: n3;") {
		t.Errorf("notes %q, want one about n1 and one about n3", notes)
	}
}

func TestANodeWithoutRealtimeWarnsOnce(t *testing.T) {
	lan, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := ring.ProfileSettings("realtime")
	if err != nil {
		t.Fatal(err)
	}
	for _, realtime := range []bool{false, true} {
		var out bytes.Buffer
		o := testOptions(t, "n1")
		o.Realtime, o.Logger = realtime, hclog.New(&hclog.LoggerOptions{Output: &out})
		n := newNode(o)
		for i, s := range []ring.Settings{lan, fast, fast, lan, fast} {
			n.mindRealtime(s)
			want := []int{0, 1, 1, 1, 2}[i]
			if realtime {
				want = 0
			}
			if got := strings.Count(out.String(), "meant for --realtime"); got != want {
				t.Errorf("realtime %v: %d warnings after %d states, want %d", realtime, got, i+1, want)
			}
		}
	}
}
