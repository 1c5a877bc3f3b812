package arctest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
)

func TestExpectFoundsOneRing(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]time.Duration{"all at once": 0, "one after the other": 400 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, netlab.Options{Hosts: 5}, "--expect", "5")
			for _, n := range c.nodes {
				n.start()
				testwait.Real(between, "between two starts")
			}
			began := time.Now()
			st := c.settle(patience)
			t.Logf("a ring of 5 stands %v after the fifth start; %s leads in term %d", time.Since(began).Round(time.Millisecond), st.Leader.Name, st.Term)
			if now := uint64(time.Now().Unix()); st.Term < now-60 || st.Term > now+60 {
				t.Errorf("the first term is %d, want about the Unix time %d", st.Term, now)
			}
		})
	}
}

func TestTwentyNodesFoundOneRing(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 20}, "--expect", "20")
	c.startAll()
	began := time.Now()
	st := c.settle(3 * patience)
	t.Logf("a ring of 20 stands %v after the last start", time.Since(began).Round(time.Millisecond))
	voters := 0
	for _, m := range st.Members {
		if m.Voter {
			voters++
		}
	}
	if voters > 7 {
		t.Errorf("%d members vote, at most 7 may", voters)
	}

	c.node(st.Leader.Name).kill()
	began = time.Now()
	next := c.settle(patience)
	t.Logf("%s leads after %s; all 19 agree after %v", next.Leader.Name, st.Leader.Name, time.Since(began).Round(time.Millisecond))
}

// A ring that was founded by one and joined by the others, without broadcast.
func TestBootstrapAndJoinByAddress(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 3}, append(calm, "--no-autodiscovery")...)
	c.nodes[0].start("--bootstrap")
	c.settle(patience)
	c.nodes[1].start("--join", fmt.Sprintf("%s:7400", c.nodes[0].host.Addr(0)))
	c.settle(patience)
	// It asks a member that does not lead.
	c.nodes[2].start("--join", fmt.Sprintf("%s:7400", c.nodes[1].host.Addr(0)))
	st := c.settle(patience)
	if st.Leader.Name != "n1" {
		t.Errorf("%s leads, want the founder n1", st.Leader.Name)
	}
}

func TestANameInUseIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 4}, append(calm, "--expect", "3")...)
	twin := c.nodes[3]
	for _, n := range c.nodes[:3] {
		n.start()
	}
	before := c.settle(patience)
	twin.args = append(twin.args, "--name", "n2")
	twin.start()
	twin.cutOff = true
	c.await(patience, "the twin says why it may not join", func() bool {
		return contains(twin.logs(), "n2") && (contains(twin.logs(), "in use") || contains(twin.logs(), "name"))
	})
	after := c.settle(patience)
	if before.Epoch != after.Epoch {
		t.Errorf("the epoch went from %d to %d", before.Epoch, after.Epoch)
	}
	if twin.proc.Running() {
		twin.kill()
	}
}

// The founder is accepted by all and cut off at once. The others may found
// without it; its own ring never has a leader, and it joins theirs.
func TestAFounderThatIsCutOffLeadsNobody(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 4}, append(calm, "--expect", "3")...)
	c.startAll()
	var founder *node // n1, unless it starts so late that the others are enough
	c.await(patience, "a node founds", func() bool {
		i := slices.IndexFunc(c.nodes, func(n *node) bool { return contains(n.logs(), "ring founded") })
		if i >= 0 {
			founder = c.nodes[i]
		}
		return i >= 0
	})
	c.lab.Pull(founder.host)
	founder.cutOff = true
	st := c.settle(60 * time.Second)
	if len(c.log.Claims(founder.name)) == 0 {
		c.log.Forget(founder.name) // they are about its ring, which nobody leads
	}
	if len(c.log.Claims(founder.name)) > 0 && st.Leader.Name != founder.name {
		t.Logf("%s led before it was cut off, and was replaced", founder.name)
	}
	c.lab.Plug(founder.host)
	founder.cutOff = false
	if after := c.settle(60 * time.Second); after.RingId != st.RingId {
		t.Errorf("ring %s became %s", st.RingId, after.RingId)
	}
}

// The founder's machine has lost its disk and is started as it always is.
func TestABootstrapWithALostDiskFoundsNoSecondRing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 3}, calm...)
	c.nodes[0].start("--bootstrap")
	c.nodes[1].start()
	c.nodes[2].start()
	before := c.settle(patience)
	c.nodes[0].kill()
	c.settle(patience)
	if err := os.RemoveAll(filepath.Join(c.nodes[0].host.Dir(), "data")); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].start("--bootstrap")
	if after := c.settle(patience); after.RingId != before.RingId {
		t.Errorf("ring %s became %s", before.RingId, after.RingId)
	}
}

func TestAllAtOnceFromDisk(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5)
	before := c.settle(patience)
	for _, n := range c.nodes {
		n.powerOff()
	}
	for _, n := range c.nodes {
		n.host.Boot()
	}
	for _, n := range c.nodes {
		n.start()
	}
	after := c.settle(patience)
	if after.RingId != before.RingId {
		t.Errorf("the ring was %s and is %s", before.RingId, after.RingId)
	}
	if after.Term <= before.Term {
		t.Errorf("the token was %d and is %d", before.Term, after.Term)
	}
}

// Hosts hear one another by IPv4 broadcast alone, and by IPv6 multicast alone.
func TestHostsFindOneAnotherByEitherFamily(t *testing.T) {
	t.Parallel()
	for family, bind := range map[string]func(n *node) netip.Addr{
		"IPv4": func(n *node) netip.Addr { return n.host.Addr(0) },
		"IPv6": func(n *node) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd77::%d", n.host.Number())) },
	} {
		t.Run(family, func(t *testing.T) {
			c := newCluster(t, netlab.Options{Hosts: 2}, append(calm, "--expect", "2")...)
			for _, n := range c.nodes {
				if bind(n).Is6() {
					n.sysctl("net/ipv6/conf/eth0/accept_dad", "0") // an address is of no use until that has ended
					n.host.AddAddress(0, bind(n))
				}
				n.start("--bind", bind(n).String())
			}
			for _, m := range c.settle(patience).Members {
				if want := netip.AddrPortFrom(bind(c.node(m.Name)), 7400).String(); !slices.Equal(m.Addresses, []string{want}) {
					t.Errorf("%s is reached at %v, want %s alone", m.Name, m.Addresses, want)
				}
			}
		})
	}
}

// A node that is bound to loopback says hello there, and nothing leaves its host. One
// that is bound to everything does use the network.
func TestHellosOfLoopbackStayOnTheHost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 1}, append(calm, "--bootstrap")...)
	n := c.nodes[0]
	n.sysctl("net/ipv6/conf/all/disable_ipv6", "1") // the kernel would say hello itself
	before := n.sent("eth0")
	n.start("--bind", "127.0.0.1")
	c.settle(patience)
	if more := n.sent("eth0") - before; n.sent("lo") == 0 || more != 0 {
		t.Errorf("%d packets left by the network card, and %d by loopback", more, n.sent("lo"))
	}
	n.kill()
	n.start()
	c.settle(patience)
	if n.sent("eth0") == before {
		t.Error("no packet of a node that is bound to everything left by the network card")
	}
}

// sysctl sets one of the settings of the host's network.
func (n *node) sysctl(name, value string) {
	n.c.t.Helper()
	if err := n.host.Do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }); err != nil {
		n.c.t.Fatal(err)
	}
}

// sent returns how many packets have left by the interface.
func (n *node) sent(card string) int {
	n.c.t.Helper()
	table, err := n.host.Run(patience, "cat", "/proc/net/dev")
	if err != nil {
		n.c.t.Fatal(err)
	}
	_, counters, _ := strings.Cut(table, card+":")
	const packetsSent = 9 // after the eight of what was received, and the bytes
	count, err := strconv.Atoi(strings.Fields(counters)[packetsSent])
	if err != nil {
		n.c.t.Fatal(err)
	}
	return count
}
