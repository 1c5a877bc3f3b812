package detector

import (
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// Hang judges the monitor's own coordinator: whether its event loop still
// answers. The zero Hang never suspects anybody. Its beats are the monitor's own
// sign of life too, so they go on where nobody may be suspected.
type Hang struct {
	after  time.Duration
	period time.Duration

	next, last mono.Instant
	begun      bool
	seq, acked uint64
	// silent sums up the time in which an answer was due and this process ran.
	silent time.Duration
}

// Configure sets after which silence the coordinator hangs (0 is never), and how
// often a beat is asked for (0 is never).
func (h *Hang) Configure(now mono.Instant, after, every time.Duration) {
	if after == h.after && every == h.period {
		return
	}
	h.after, h.period, h.silent = after, every, 0
	h.next, h.last = now, now
}

// NextTick returns when Tick wants to be called, mono.Never while it is off.
func (h *Hang) NextTick() mono.Instant {
	if h.period == 0 {
		return mono.Never
	}
	return h.next
}

// Tick returns the number of the beat to ask for now (0: none is due), and
// whether the coordinator hangs. Time beyond one and a half periods between
// two ticks is time in which this process did not run: it does not count. A
// coordinator that never answered, and of which nobody said that it has Started,
// does not hang.
func (h *Hang) Tick(now mono.Instant) (beat uint64, hung bool) {
	if h.period == 0 || now < h.next {
		return 0, false
	}
	if h.begun && h.acked < h.seq {
		h.silent += min(now.Sub(h.last), h.period*3/2)
	}
	h.last, h.next = now, now.Add(h.period)
	if h.after > 0 && h.begun && h.silent >= h.after {
		return 0, true
	}
	h.seq++
	return h.seq, false
}

// Beat takes the coordinator's answer, if it is a new one.
func (h *Hang) Beat(seq uint64) {
	if seq <= h.seq && seq > h.acked {
		h.acked, h.silent, h.begun = seq, 0, true
	}
}

// Started says that the coordinator's event loop has run: it is a member, and told the
// monitor so. From now on an answer is due, also if none has come yet.
func (h *Hang) Started() { h.begun = true }

// Silent returns for how long an answer is due.
func (h *Hang) Silent() time.Duration { return h.silent }
