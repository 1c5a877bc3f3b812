package devring

import (
	"os"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
)

// Twenty-four nodes at rest for a minute: no eviction, no change of the
// leader. It takes its minute, so it runs only with ARC_SOAK set.
func TestQuietRingStaysQuiet(t *testing.T) {
	if os.Getenv("ARC_SOAK") == "" {
		t.Skip("takes more than a minute: runs if ARC_SOAK=1 is set")
	}
	r, st := whole(t, Options{Nodes: 24, LogLevel: "warn"})
	mark := r.Mark()
	testwait.Real(time.Minute, "in which nothing must happen")
	for _, ev := range r.Since(mark) {
		t.Errorf("%s says %s %s %v", ev.By, ev.Type(), ev.GetNode(), ev.GetDetail())
	}
	if after := awaitRing(t, r, stepBound); after.GetEpoch() != st.GetEpoch() {
		t.Errorf("the epoch went from %d to %d", st.GetEpoch(), after.GetEpoch())
	}
}
