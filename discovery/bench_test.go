package discovery

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// bench is one core with a clock that the test moves. Chance is constant, so
// that all jitter is the same.
type bench struct {
	*core
	t   *testing.T
	now time.Time
}

// The inputs, each with what the core wants done about it.

func (b *bench) effects(input func()) []effect {
	input()
	return b.take()
}

func (b *bench) startSeek(now time.Time) []effect {
	return b.effects(func() { b.core.startSeek(now) })
}

func (b *bench) tick(now time.Time) []effect { return b.effects(func() { b.core.tick(now) }) }

func (b *bench) announce(now time.Time) []effect { return b.effects(func() { b.core.announce(now) }) }

func (b *bench) moved(now time.Time, self *discoveryv1.Node) []effect {
	return b.effects(func() { b.core.moved(now, self) })
}

func (b *bench) setRing(now time.Time, r *discoveryv1.Ring) []effect {
	return b.effects(func() { b.core.setRing(now, r) })
}

func (b *bench) hello(now time.Time, from netip.AddrPort, h *discoveryv1.Hello) []effect {
	return b.effects(func() { b.core.hello(now, arrival{from, bareMost, now}, h) })
}

func (b *bench) answered(now time.Time, from netip.AddrPort, a *discoveryv1.Answer) []effect {
	return b.effects(func() { b.core.answered(now, arrival{from, bareMost, now}, a) })
}

func (b *bench) asked(now time.Time, round uint64, name string, incarnation uint64, accepted bool, reason string, problem error) []effect {
	return b.effects(func() { b.core.asked(now, round, name, incarnation, accepted, reason, problem) })
}

const selfIncarnation = 1000

func newBench(t *testing.T, name string, expect int) *bench {
	b := &bench{t: t, now: time.Unix(1_700_000_000, 0)}
	chance := uint64(0)
	b.core = newCore(b.now, "c", &discoveryv1.Node{Name: name, Incarnation: selfIncarnation, Addresses: []string{name + ":1"}}, expect, func() uint64 {
		chance += 1024 // Jitter looks at the low bits, nonces at all.
		return chance
	})
	return b
}

func source(name string) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, name[len(name)-1]}), 5000)
}

func peer(name string, incarnation uint64) *discoveryv1.Node {
	return &discoveryv1.Node{Name: name, Incarnation: incarnation, Addresses: []string{fmt.Sprintf("%s-%d:1", name, incarnation)}}
}

type change func(*discoveryv1.Hello)

func (b *bench) hears(name string, changes ...change) []effect {
	h := &discoveryv1.Hello{Cluster: "c", Node: peer(name, 1), Nonce: 1, Attempt: 1, Founding: &discoveryv1.Founding{Expect: uint32(b.expect)}}
	for _, c := range changes {
		c(h)
	}
	return b.hello(b.now, source(name), h)
}

func expects(n uint32) change { return func(h *discoveryv1.Hello) { h.Founding.Expect = n } }
func attempt(n uint32) change { return func(h *discoveryv1.Hello) { h.Attempt = n } }
func incarnation(n uint64) change {
	return func(h *discoveryv1.Hello) { h.Node = peer(h.Node.Name, n) }
}
func witness(h *discoveryv1.Hello) { h.Node.Witness = true }
func inRing(id string) change {
	return func(h *discoveryv1.Hello) { h.Ring, h.Founding = &discoveryv1.Ring{RingId: id}, nil }
}
func hasAccepted(name string, incarnation uint64) change {
	return func(h *discoveryv1.Hello) { h.Founding.Accepted, h.Founding.AcceptedIncarnation = name, incarnation }
}

// answers plays an answer of the node to this core's newest hello.
func (b *bench) answers(name string, f *discoveryv1.Founding, r *discoveryv1.Ring) []effect {
	return b.answersTo(b.nonces[len(b.nonces)-1].value, name, f, r)
}

func (b *bench) answersTo(nonce uint64, name string, f *discoveryv1.Founding, r *discoveryv1.Ring) []effect {
	return b.answered(b.now, source(name), &discoveryv1.Answer{Cluster: "c", Node: peer(name, 1), Ring: r, Echo: nonce, Founding: f})
}

// after moves the clock and ticks whenever the core wants it.
func (b *bench) after(d time.Duration) []effect {
	end := b.now.Add(d)
	var out []effect
	for next := b.next(); !next.After(end); next = b.next() {
		if next.Before(b.now) {
			b.t.Fatalf("next %s is in the past by %s", next, b.now.Sub(next))
		}
		b.now = next
		out = append(out, b.tick(b.now)...)
		if !b.next().After(b.now) {
			b.t.Fatalf("tick at %s has left something due at the same time", b.now)
		}
	}
	b.now = end
	return out
}

func (b *bench) request(founder string, incarnation uint64, names ...string) (bool, string) {
	ok, reason, err := b.accept(b.now, &peerv1.AcceptFounderRequest{
		Cluster: "c", Founder: founder, Incarnation: incarnation, Addresses: []string{founder + ":1"}, Names: names, To: b.self.Name,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return ok, reason
}

func of[T effect](effects []effect) (found []T) {
	for _, e := range effects {
		if e, ok := e.(T); ok {
			found = append(found, e)
		}
	}
	return found
}

func askedNames(effects []effect) (names []string) {
	for _, a := range of[ask](effects) {
		names = append(names, a.node.Name)
	}
	return names
}
