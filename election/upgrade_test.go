package election_test

import (
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// The members of a ring are started again with a newer ARC, one after the other.
// Its log may hold what is new only when the last one reads it, and from then on
// nobody joins who does not.
func TestTheLogVersionRisesWithTheLastMember(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), time.Second, "a", "b", "c")
	w.logVersion = ring.LogVersion
	for _, name := range []string{"a", "b", "c"} {
		if v := w.nodes["c"].n.State().LogVersion; v != 0 {
			t.Errorf("before %s is started again, log version %d is required", name, v)
		}
		w.kill(name, false, "")
		w.restart(name)
		w.run(5 * time.Second)
	}
	for _, name := range w.order {
		if v := w.nodes[name].n.State().LogVersion; v != ring.LogVersion {
			t.Errorf("%s knows of log version %d, want %d", name, v, ring.LogVersion)
		}
	}
	if err := w.join("d", ring.Member{}); err == nil || !strings.Contains(err.Error(), `the ring's log needs version 2, and the ARC of "d" reads up to 0`) {
		t.Errorf("d joins with an older ARC: %v", err)
	}
	if err := w.join("d", ring.Member{LogVersion: ring.LogVersion}); err != nil {
		t.Errorf("d joins with a newer ARC: %v", err)
	}
}
