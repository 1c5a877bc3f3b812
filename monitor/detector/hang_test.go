package detector

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

func TestHang(t *testing.T) {
	const after = time.Second // a beat every 100ms
	run := func(h *Hang, now *mono.Instant, n int, late time.Duration, answers bool) (hungAt mono.Instant) {
		for range n {
			*now = max(h.NextTick(), *now).Add(late)
			beat, hung := h.Tick(*now)
			if hung {
				return *now
			}
			if answers {
				h.Beat(beat)
			}
		}
		return 0
	}
	t.Run("off", func(t *testing.T) {
		var h Hang
		if h.NextTick() != mono.Never {
			t.Error("the zero Hang wants ticks")
		}
		if beat, hung := h.Tick(mono.Instant(time.Hour)); beat != 0 || hung {
			t.Errorf("the zero Hang answers %d %v", beat, hung)
		}
	})
	t.Run("answers", func(t *testing.T) {
		var h Hang
		now := mono.Instant(5 * time.Second)
		h.Configure(now, after, after/10)
		if at := run(&h, &now, 1000, 0, true); at != 0 {
			t.Errorf("hung at %v though it answers", at)
		}
	})
	t.Run("stops answering", func(t *testing.T) {
		var h Hang
		var now mono.Instant
		h.Configure(now, after, after/10)
		run(&h, &now, 10, 0, true)
		from := now
		at := run(&h, &now, 100, 0, false)
		if took := at.Sub(from); took < after || took > after+200*time.Millisecond {
			t.Errorf("hung after %v, want a little over %v", took, after)
		}
	})
	t.Run("never answered: it is starting", func(t *testing.T) {
		var h Hang
		var now mono.Instant
		h.Configure(now, after, after/10)
		if at := run(&h, &now, 1000, 0, false); at != 0 {
			t.Errorf("hung at %v before its first answer", at)
		}
	})
	t.Run("never answered, and has started", func(t *testing.T) {
		var h Hang
		var now mono.Instant
		h.Configure(now, after, after/10)
		h.Started()
		if at := run(&h, &now, 1000, 0, false); at < mono.Instant(after) || at > mono.Instant(after+after/5) {
			t.Errorf("hung at %v, want a little over %v", at, after)
		}
	})
	t.Run("own stall does not count", func(t *testing.T) {
		var h Hang
		var now mono.Instant
		h.Configure(now, after, after/10)
		run(&h, &now, 10, 0, true)
		run(&h, &now, 2, 0, false)
		now = now.Add(time.Hour)
		if at := run(&h, &now, 3, 0, false); at != 0 {
			t.Errorf("hung at %v after a stall of its own", at)
		}
		if h.Beat(h.seq); h.acked != h.seq || h.Silent() != 0 {
			t.Errorf("an answer leaves %v of silence", h.Silent())
		}
	})
	t.Run("an old answer is none", func(t *testing.T) {
		var h Hang
		var now mono.Instant
		h.Configure(now, after, after/10)
		run(&h, &now, 5, 0, true)
		for _, seq := range []uint64{3, 99} {
			if h.Beat(seq); h.acked != 5 {
				t.Errorf("took answer %d, an old one or one that was not asked for", seq)
			}
		}
	})
	t.Run("beats where nobody may be killed", func(t *testing.T) {
		var h Hang
		h.Configure(0, 0, time.Second)
		h.Tick(0)
		h.Beat(1)
		for now := time.Second; now < time.Hour; now += time.Second {
			if beat, hung := h.Tick(mono.Instant(now)); beat == 0 || hung {
				t.Fatalf("at %v: beat %d, hung %v", now, beat, hung)
			}
		}
	})
}
