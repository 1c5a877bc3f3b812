package discovery

import (
	"net/netip"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// recording is a datagram, and where it came from.
type recording struct {
	from netip.AddrPort
	b    []byte
}

func (n *simNode) pack(c content, most int, source netip.AddrPort) []byte {
	if stamp := c.GetStamp(); stamp != nil {
		leaves(stamp, n.w.now, n.w.now.Add(n.skew), n.began, source)
	}
	b, err := encode(c, most)
	if err != nil {
		n.w.fail("%v", err)
	}
	return n.w.seals.seal(b)
}

// seal has all nodes seal what they send, with clocks that differ. Until the time, and
// as often as that, somebody sends again what he recorded, to anybody, in the sender's
// name or in another's.
func (w *world) seal(until, every time.Duration) {
	w.seals = testSeals
	for _, n := range w.nodes {
		n.skew = time.Duration(w.rng.Int64N(int64(durations.ClockSlack-2*w.maxDelay))) - durations.ClockSlack/2 + w.maxDelay
	}
	var again func()
	again = func() {
		if len(w.tape) > 0 {
			r := w.tape[w.rng.IntN(len(w.tape))]
			if w.rng.IntN(2) == 0 {
				r.from = netip.MustParseAddrPort("172.16.0.1:9")
			}
			w.arrive(r, w.nodes[w.rng.IntN(len(w.nodes))])
		}
		if w.now.Sub(w.start) < until {
			w.at(time.Duration(w.rng.Int64N(int64(2*every))), again)
		}
	}
	w.at(0, again)
}

func (w *world) arrive(r recording, to *simNode) {
	if !to.alive {
		return
	}
	b, err := w.seals.open(r.b)
	if err != nil {
		w.fail("%v", err)
	}
	h, a, err := decode(b, w.seals != nil)
	if err != nil {
		w.fail("%v", err)
	}
	at := arrival{r.from, len(b), w.now.Add(to.skew)}
	to.do(func() {
		if h != nil {
			to.core.hello(w.now, at, h)
			return
		}
		to.core.answered(w.now, at, a)
	})
}
