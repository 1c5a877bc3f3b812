package membership

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

// A member that has just started is not heard yet: that is no news.
func TestOthersHaveAChanceToBeHeard(t *testing.T) {
	began := mono.Instant(time.Hour)
	q := NewInquiry("r", 1, "n1", began)
	for i, c := range []struct {
		after       time.Duration
		heard, want bool
	}{
		{time.Millisecond, false, false},
		{durations.Unheard - 1, false, false},
		{durations.Unheard, true, false},
		{2 * durations.Unheard, false, true},
		{3 * durations.Unheard, false, false}, // it is said once
	} {
		if got := q.Unheard(began.Add(c.after), c.heard); got != c.want {
			t.Errorf("%d: %v after the start, heard %v, it warns: %v", i, c.after, c.heard, got)
		}
	}
}
