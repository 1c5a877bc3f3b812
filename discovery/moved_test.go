package discovery

import (
	"slices"
	"testing"

	"github.com/arc-ring/arc/internal/durations"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// A node without an address has nothing to say, and says hello as soon as it
// has one.
func TestSayingNothingWithoutAnAddress(t *testing.T) {
	b := newBench(t, "a", 3)
	b.self.Addresses = nil
	if hellos := of[sendHello](b.startSeek(b.now)); len(hellos) != 0 {
		t.Errorf("a node without an address says %v", hellos)
	}
	if answers := of[sendAnswer](b.hears("j", attempt(2))); len(answers) != 0 {
		t.Errorf("a node without an address answers %v", answers)
	}
	b.after(durations.SeekLeast)
	hellos := of[sendHello](b.moved(b.now, &discoveryv1.Node{Name: "a", Incarnation: selfIncarnation, Addresses: []string{"10.0.0.1:7400"}}))
	if len(hellos) != 1 || !slices.Equal(hellos[0].hello.Node.Addresses, []string{"10.0.0.1:7400"}) {
		t.Errorf("with an address it says %v, want one hello that tells it", hellos)
	}
}

// Where another member of the own ring says that it is reached is handed on.
func TestAFellowIsHandedOn(t *testing.T) {
	b := newBench(t, "a", 0)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1"})
	member := func(ringID string) []fellow {
		return of[fellow](b.hears("b", attempt(0), inRing(ringID)))
	}
	if got := member("r2"); len(got) != 0 {
		t.Errorf("a member of another ring is a fellow: %v", got)
	}
	if got := member("r1"); len(got) != 1 || got[0].node.Name != "b" || len(got[0].node.Addresses) == 0 {
		t.Errorf("fellows %v, want b with its addresses", got)
	}
	if hellos := of[sendHello](b.announce(b.now)); len(hellos) != 1 || hellos[0].hello.Ring.GetRingId() != "r1" {
		t.Errorf("announced as %v, want one hello of a member of r1", hellos)
	}
}

// A hello that came before this node knew that it is in the ring counts as soon as
// it knows: after a power cut all say theirs at the same time, and only once.
func TestAFellowHeardTooEarlyIsHandedOn(t *testing.T) {
	b := newBench(t, "a", 0)
	for name, ringID := range map[string]string{"b": "r1", "c": "r2", "d": "r1"} {
		if got := of[fellow](b.hears(name, attempt(0), inRing(ringID))); len(got) != 0 {
			t.Errorf("a node without a ring has fellows: %v", got)
		}
	}
	var names []string
	for _, f := range of[fellow](b.setRing(b.now, &discoveryv1.Ring{RingId: "r1"})) {
		names = append(names, f.node.Name)
	}
	if !slices.Equal(names, []string{"b", "d"}) {
		t.Errorf("fellows %v, want b and d", names)
	}
	if again := of[fellow](b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leader: "b"})); len(again) != 0 {
		t.Errorf("another leader makes fellows of %v again", again)
	}
	b.after(durations.NamePresent + 1)
	if stale := of[fellow](b.setRing(b.now, &discoveryv1.Ring{RingId: "r2"})); len(stale) != 0 {
		t.Errorf("who was not heard lately is a fellow: %v", stale)
	}
}
