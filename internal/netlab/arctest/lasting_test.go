package arctest

import (
	"slices"
	"testing"
	"time"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// cutFrom cuts a node from others, both ways.
func (c *cluster) cutFrom(n *node, others ...*node) {
	c.t.Helper()
	for _, o := range others {
		if o != n {
			c.lab.Cut(n.host, o.host)
		}
	}
}

// inSuccession returns the nodes of a settled ring of which only the leader
// ever led: the leader, its heir, and so on.
func (c *cluster) inSuccession(st *arcv1.StatusResponse) []*node {
	c.t.Helper()
	list := []*node{c.node(st.Leader.Name)}
	for _, m := range st.Members { // the lowest id leads next
		if m.Name != st.Leader.Name {
			list = append(list, c.node(m.Name))
		}
	}
	return list
}

// claimant awaits a claim by anybody but one, that begins after an instant.
func (c *cluster) claimant(after time.Time, but *node) *node {
	c.t.Helper()
	var found *node
	c.await(patience, "somebody else than "+but.name+" claims", func() bool {
		for _, n := range c.nodes {
			claims := c.log.Claims(n.name)
			if n != but && len(claims) > 0 && claims[len(claims)-1].Asked.After(after) {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// A majority that sees itself only in part has a leader while that lasts, keeps
// it, and burns no further terms.
func TestAMajorityIsLedWhileTheFaultLasts(t *testing.T) {
	for name, fault := range map[string]func(c *cluster, order []*node) (hub *node){
		"the heir sees only one voter, the leader is killed": func(c *cluster, o []*node) *node {
			c.cutFrom(o[1], o[3], o[4])
			o[0].kill()
			return nil
		},
		"star": func(c *cluster, o []*node) *node {
			hub := o[3]
			for _, n := range o {
				if n != hub {
					c.cutFrom(n, slices.DeleteFunc(slices.Clone(o), func(x *node) bool { return x == hub })...)
				}
			}
			return hub
		},
		"bridge: the leader reaches one of the others": func(c *cluster, o []*node) *node {
			c.cutFrom(o[0], o[2], o[3], o[4])
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := ringOf(t, 5)
			order := c.inSuccession(c.settle(patience))
			began := time.Now()
			hub := fault(c, order)
			next := c.claimant(time.Now().Add(lease), order[0])
			t.Logf("%s claims, %v after the fault began", next.name, time.Since(began).Round(time.Millisecond))
			if hub != nil && next != hub {
				t.Errorf("%s claims, only %s can", next.name, hub.name)
			}
			// It is kept, by the same token.
			kept := time.Now()
			c.await(patience, next.name+" claims for three seconds", func() bool {
				claims := c.log.Claims(next.name)
				return claims[len(claims)-1].Asked.After(kept.Add(3 * time.Second))
			})
			claims := c.log.Claims(next.name)
			if first, last := claims[0].Term, claims[len(claims)-1].Term; first != last {
				t.Errorf("%s claims with token %d, then with token %d: a leader was declared again while the fault lasts", next.name, first, last)
			}
			for _, n := range order {
				n.cutOff = n != next // not expected to be whole
			}
			c.lab.Heal()
		})
	}
}

// A handover to a member that could not lead is refused with the reason, and the
// leader goes on claiming all the time.
func TestHandoverToAMemberThatCannotLead(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(c *cluster, o []*node)
		why   string
	}{
		"only the leader sees it": {func(c *cluster, o []*node) { c.cutFrom(o[2], o[1], o[3], o[4]) }, "reaches 2 of 5 voters"},
		"it hangs":                {func(c *cluster, o []*node) { o[2].host.Freeze() }, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			ring := ringOf(t, 5, calm...)
			order := ring.inSuccession(ring.settle(patience))
			c.fault(ring, order)
			began := time.Now()
			out, err := order[0].arc("handover", order[2].name)
			t.Logf("after %v: %s %v", time.Since(began).Round(time.Millisecond), out, err)
			if err == nil || !contains(err.Error(), c.why) {
				t.Errorf("handover to %s: %s %v, want an error that says %q", order[2].name, out, err, c.why)
			}
			if lost := ring.log.Heard(began, kind("claim_lost", "leader_declared")); len(lost) > 0 {
				t.Errorf("the leader did not go on claiming: %v", lost)
			}
			for _, n := range order {
				n.cutOff = true
			}
			order[2].host.Thaw()
			ring.lab.Heal()
		})
	}
}
