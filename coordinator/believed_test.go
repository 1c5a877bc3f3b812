package coordinator

import (
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/trust"
)

// A certificate that came from its member's own monitor is believed when others pass
// on the same one, and no other one.
func TestACertificateIsCheckedOnce(t *testing.T) {
	n := &node{trust: trust.Minted([]trust.Secret{trust.NewSecret()}, trust.Identity{Cluster: "c", Role: trust.Member, Name: "n1"})}
	n.o.Cluster = "c"
	n.identity.Store(&transport.Identity{})
	c := election.Certificate{Name: "n2", ID: 2, Incarnation: 7, Exit: "gone", Proof: "unsigned"}
	passed := func(c election.Certificate) error {
		return n.believePassed(election.Message{From: 3, Certificate: &c})
	}
	if passed(c) == nil {
		t.Fatal("a certificate that nobody signed is believed")
	}
	n.believed.add(c)
	if err := passed(c); err != nil {
		t.Errorf("it is not believed although its monitor brought it: %v", err)
	}
	for what, change := range map[string]func(*election.Certificate){
		"incarnation": func(c *election.Certificate) { c.Incarnation++ },
		"exit":        func(c *election.Certificate) { c.Exit = "" },
		"clean":       func(c *election.Certificate) { c.Clean = true },
	} {
		other := c
		change(&other)
		if passed(other) == nil {
			t.Errorf("one with another %s is believed too", what)
		}
	}
	for i := range uint64(len(n.believed.newest)) {
		n.believed.add(election.Certificate{ID: 10 + i})
	}
	if passed(c) == nil {
		t.Error("more are kept than there is room for")
	}
}
