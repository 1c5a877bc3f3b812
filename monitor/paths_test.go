package monitor

import (
	"testing"

	"github.com/arc-ring/arc/internal/testwait"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// at lets the link look for the first successor at these nodes' addresses.
func at(nodes ...*node) func(*localv1.Link) {
	return func(l *localv1.Link) {
		l.Successors[0].Addresses = nil
		for _, n := range nodes {
			l.Successors[0].Addresses = append(l.Successors[0].Addresses, n.addr)
		}
	}
}

// Another process that answers at the only address says nothing about the member: it
// is silent.
func TestAStrangerAtTheAddressIsNotTheMember(t *testing.T) {
	for name, stranger := range map[string]func(n *node){
		"another member":                         func(n *node) { n.name, n.id = "n3", 3 },
		"another ring's member with the same id": func(n *node) { n.ringID = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			h, b := newHome(t), newNode(t, 2, "n2")
			b.incarnation.Store(777)
			stranger(b)
			h.start()
			h.link(func(l *localv1.Link) { l.Successors[0].Name, l.Successors[0].Id = "n2", 2 }, b)
			h.awaitSuspicion(&node{id: 2}, "silent")
		})
	}
}

func TestTheRightAnswerOutweighsAllOthers(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	neighbour, foreign, again := newNode(t, 3, "n3"), newNode(t, 2, "n2"), newNode(t, 0, "n2")
	foreign.ringID = "other"
	foreign.incarnation.Store(777)
	again.incarnation.Store(778) // of the member's name, and no member yet
	h.start()
	h.link(at(neighbour, foreign, again, b), b)
	h.awaitLink(b, "up")
	before := b.pings.Load()
	testwait.Until(t, patience, "ten probes", func() bool { return b.pings.Load() >= before+10 })
	h.noSuspicion()

	// Its end is noticed although somebody answers at each of its other addresses.
	b.host.Stop()
	h.awaitSuspicion(b, "reset")
}

// The own coordinator answers at an address that it shares with the neighbour.
func TestTheOwnCoordinatorIsNoPath(t *testing.T) {
	h, b, own := newHome(t), newNode(t, 2, "n2"), newNode(t, 1, "n1")
	own.incarnation.Store(99)
	h.start()
	h.link(at(own, b), b)
	h.awaitLink(b, "up")
	h.noSuspicion()
	b.host.Stop()
	h.awaitSuspicion(b, "refused")
}

func TestAnOwnAddressIsNotDialled(t *testing.T) {
	h, b, own := newHome(t), newNode(t, 2, "n2"), newNode(t, 1, "n1")
	h.start()
	h.link(func(l *localv1.Link) {
		at(own, b)(l)
		l.Self.Addresses = []string{own.addr}
	}, b)
	h.awaitLink(b, "up")
	testwait.Until(t, patience, "probes", func() bool { return b.pings.Load() > 5 })
	if n := own.streams.Load(); n != 0 {
		t.Errorf("the own coordinator was probed over %d streams as if it were the neighbour", n)
	}
}

// A change of the addresses alone is no reason to forget what is known.
func TestAnAddressChangeKeepsTheStreamThatWorks(t *testing.T) {
	h, b, other := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.link(at(b, other), b)
	h.awaitLink(b, "dialled")
	before := b.pings.Load()
	testwait.Until(t, patience, "ten probes", func() bool { return b.pings.Load() >= before+10 })
	if n := b.streams.Load(); n != 1 {
		t.Errorf("%d streams, want the first one alone", n)
	}
	h.noSuspicion()
	h.link(at(other), b)
	h.awaitSuspicion(b, "silent")
}
