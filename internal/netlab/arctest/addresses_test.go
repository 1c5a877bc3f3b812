package arctest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// bridgeAddress is what container engines give their bridge on every host.
var bridgeAddress = netip.MustParsePrefix("172.17.0.1/16")

// Every host has the same address beside its own: the README's first command
// gives a ring that rests and fails over as without it.
func TestContainerBridges(t *testing.T) {
	for name, up := range map[string]bool{"up": true, "down": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, netlab.Options{Hosts: 9}, "--expect", "9")
			for _, n := range c.nodes {
				n.host.AddBridge("docker0", bridgeAddress, up)
			}
			c.startAll()
			began := time.Now()
			st := c.settle(patience)
			t.Logf("a ring of 9 stands %v after the last start, at epoch %d", time.Since(began).Round(time.Millisecond), st.Epoch)
			settled := time.Now()
			time.Sleep(4 * time.Second) // in which whoever is mistaken for dead would be evicted
			if wrong := c.log.since(began, kind("evicted")); len(wrong) > 0 {
				t.Errorf("evicted: %v", wrong[0])
			}
			if late := c.log.since(settled, kind("suspected", "leader_lost")); len(late) > 0 {
				t.Errorf("at rest: %v", late[0])
			}
			if after := c.settle(patience); after.Epoch > st.Epoch || after.Term != st.Term {
				t.Errorf("at rest the ring went from epoch %d, term %d to epoch %d, term %d", st.Epoch, st.Term, after.Epoch, after.Term)
			}
			for range 2 {
				leader := c.node(st.Leader.Name)
				killed := time.Now()
				leader.kill()
				st = c.settle(patience)
				t.Logf("%s leads %v after %s was killed", st.Leader.Name, time.Since(killed).Round(time.Millisecond), leader.name)
				leader.start()
				st = c.settle(patience)
			}
		})
	}
}
