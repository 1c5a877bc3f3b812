package rate

import (
	"testing"
	"time"
)

func TestBatches(t *testing.T) {
	begin := time.Unix(1, 0)
	b := Batches{Most: 10, Each: time.Millisecond}
	now, done := begin, 0
	for ; now.Sub(begin) < time.Second; done++ {
		now = now.Add(b.Pause(now))
	}
	if done < 9900 || done > 10100 {
		t.Errorf("%d in a second, want 10 per millisecond", done)
	}
	// Who is slower than that is never held up.
	for range 1000 {
		now = now.Add(120 * time.Microsecond)
		if pause := b.Pause(now); pause != 0 {
			t.Fatalf("held up for %v", pause)
		}
	}
}
