package arctest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
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
			testwait.Real(4*time.Second, "in which a member mistaken for dead would be evicted")
			if wrong := c.log.Heard(began, kind("evicted")); len(wrong) > 0 {
				t.Errorf("evicted: %v", wrong[0])
			}
			if late := c.log.Heard(settled, kind("suspected", "leader_lost")); len(late) > 0 {
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

// right is how soon the ring has to be whole by itself once its machines'
// addresses are right.
const right = 3 * time.Second

// wholeWithin reports how long the ring took after since.
func (c *cluster) wholeWithin(since time.Time, limit time.Duration, what string) *arcv1.StatusResponse {
	c.t.Helper()
	st := c.settle(patience)
	took := time.Since(since)
	c.t.Logf("%s: whole after %v, %s leads at epoch %d, term %d", what, took.Round(time.Millisecond), st.Leader.Name, st.Epoch, st.Term)
	if took > limit {
		c.t.Errorf("%s: whole after %v, want at most %v", what, took.Round(time.Millisecond), limit)
	}
	return st
}

// undisturbed says what must not have happened to the ring since.
func (c *cluster) undisturbed(since time.Time, before, after *arcv1.StatusResponse) {
	c.t.Helper()
	if gone := c.log.Heard(since, kind("evicted", "left")); len(gone) > 0 {
		c.t.Errorf("somebody went: %v", gone[0])
	}
	if after.RingId != before.RingId || after.Term != before.Term || after.Leader.Id != before.Leader.Id {
		c.t.Errorf("ring %s, leader %d, term %d became ring %s, leader %d, term %d",
			before.RingId, before.Leader.Id, before.Term, after.RingId, after.Leader.Id, after.Term)
	}
}

// listedAt checks that the ring lists the node at the address and not at the
// other one.
func (c *cluster) listedAt(limit time.Duration, n *node, want, not netip.Addr) {
	c.t.Helper()
	var last []string
	c.await(limit, n.name+" is listed at "+want.String(), func() bool {
		st, err := c.up()[0].status(time.Second)
		if err != nil {
			return false
		}
		for _, m := range st.Members {
			if m.Name == n.name {
				last = m.Addresses
			}
		}
		return slices.Contains(last, netip.AddrPortFrom(want, 7400).String()) && !slices.Contains(last, netip.AddrPortFrom(not, 7400).String())
	})
}

// other is an address that the host does not have at first.
func (n *node) other() netip.Addr {
	a := n.host.Addr(0).As4()
	a[3] += 100
	return netip.AddrFrom4(a)
}

// renumber gives the node's host its other address instead of its first.
func (n *node) renumber() {
	n.c.t.Helper()
	n.host.RemoveAddress(0, n.host.Addr(0))
	n.host.AddAddress(0, n.other())
}

func TestAllStartBeforeTheirAddresses(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 3}, "--expect", "3")
	for _, n := range c.nodes {
		n.host.RemoveAddress(0, n.host.Addr(0))
	}
	c.startAll()
	c.await(patience, "all say that they have no address", func() bool {
		return !slices.ContainsFunc(c.nodes, func(n *node) bool { return !contains(n.logs(), "has no address yet") })
	})
	testwait.Real(time.Second, "for which the addresses are late")
	for _, n := range c.nodes {
		n.host.AddAddress(0, n.host.Addr(0))
	}
	st := c.wholeWithin(time.Now(), right, "a ring of 3 whose addresses came late")
	for _, m := range st.Members {
		if contains(fmt.Sprint(m.Addresses), "127.0.0.1") {
			t.Errorf("%s is listed at %v", m.Name, m.Addresses)
		}
	}
}

func TestOneStartsBeforeItsAddress(t *testing.T) {
	c := ringOf(t, 3)
	late := c.nodes[2]
	late.powerOff()
	c.settle(patience) // it is evicted
	late.host.Boot()
	late.host.RemoveAddress(0, late.host.Addr(0))
	before := c.settle(patience)
	began := time.Now()
	late.start()
	late.cutOff = true
	c.await(patience, "it says that it has no address", func() bool { return contains(late.logs(), "has no address yet") })
	testwait.Real(2*time.Second, "for which its address is late")
	late.cutOff = false
	late.host.AddAddress(0, late.host.Addr(0))
	after := c.wholeWithin(time.Now(), right, "a late address of one")
	c.undisturbed(began, before, after)
}

func TestAfterAPowerCutAllStartBeforeTheirAddresses(t *testing.T) {
	c := ringOf(t, 3)
	before := c.settle(patience)
	for _, n := range c.nodes {
		n.powerOff()
	}
	for _, n := range c.nodes {
		n.host.Boot()
		n.host.RemoveAddress(0, n.host.Addr(0))
		n.start()
	}
	testwait.Real(3*time.Second, "for which the addresses are late")
	for _, n := range c.nodes {
		n.host.AddAddress(0, n.host.Addr(0))
	}
	if after := c.wholeWithin(time.Now(), right, "late addresses after a power cut"); after.RingId != before.RingId {
		t.Errorf("ring %s became ring %s", before.RingId, after.RingId)
	}
}

func TestAnAddressChangesUnderTheRunningDaemon(t *testing.T) {
	for name, pick := range map[string]func(c *cluster, st *arcv1.StatusResponse) *node{
		"of a follower": func(c *cluster, st *arcv1.StatusResponse) *node {
			return c.node(at(st, memberIndex(st, st.Leader.Name)+1))
		},
		"of the leader": func(c *cluster, st *arcv1.StatusResponse) *node { return c.node(st.Leader.Name) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, netlab.Options{Hosts: 3}, append([]string{"--expect", "3"}, calm...)...)
			c.startAll()
			before := c.settle(patience)
			n := pick(c, before)
			began := time.Now()
			n.renumber()
			c.listedAt(right, n, n.other(), n.host.Addr(0))
			after := c.wholeWithin(began, right, "another address")
			c.undisturbed(began, before, after)
			testwait.Real(5*time.Second, "in which it would be evicted again")
			c.undisturbed(began, before, c.settle(patience))
		})
	}
}

// A member that was evicted while its address was wrong comes back.
func TestAnAddressThatWasGoneForLong(t *testing.T) {
	c := ringOf(t, 3)
	st := c.settle(patience)
	n := c.node(at(st, memberIndex(st, st.Leader.Name)+1))
	n.host.RemoveAddress(0, n.host.Addr(0))
	n.cutOff = true
	c.settle(patience)
	n.cutOff = false
	n.host.AddAddress(0, n.other())
	c.wholeWithin(time.Now(), right, "another address after an eviction")
	c.listedAt(right, n, n.other(), n.host.Addr(0))
}

func TestAllComeBackWithOtherAddresses(t *testing.T) {
	for name, change := range map[string]func(c *cluster){
		"new ones": func(c *cluster) {
			for _, n := range c.nodes {
				n.renumber()
			}
		},
		"two have each other's": func(c *cluster) {
			a, b := c.nodes[0].host, c.nodes[1].host
			a.RemoveAddress(0, a.Addr(0))
			b.RemoveAddress(0, b.Addr(0))
			a.AddAddress(0, b.Addr(0))
			b.AddAddress(0, a.Addr(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := ringOf(t, 3)
			before := c.settle(patience)
			for _, n := range c.nodes {
				n.powerOff()
			}
			for _, n := range c.nodes {
				n.host.Boot()
			}
			change(c)
			c.startAll()
			after := c.wholeWithin(time.Now(), right, name)
			if after.RingId != before.RingId || len(after.Members) != 3 {
				t.Errorf("ring %s became ring %s", before.RingId, after.RingId)
			}
			if name == "new ones" {
				for _, n := range c.nodes {
					c.listedAt(right, n, n.other(), n.host.Addr(0))
				}
			} else {
				c.listedAt(right, c.nodes[0], c.nodes[1].host.Addr(0), c.nodes[0].host.Addr(0))
				c.listedAt(right, c.nodes[1], c.nodes[0].host.Addr(0), c.nodes[1].host.Addr(0))
			}
		})
	}
}

// A floating address is on the leader's interface when its daemon starts, and
// moves to another member later. Nothing of the ring moves with it, and the
// death of its former machine is noticed in time.
func TestAFloatingAddressMoves(t *testing.T) {
	c := ringOf(t, 4)
	floating := netip.MustParseAddr("10.77.0.200")
	st := c.settle(patience)
	first := c.node(st.Leader.Name)
	first.host.AddAddress(0, floating)
	first.kill()
	c.settle(patience)
	first.start()
	st = c.settle(patience)
	c.listedAt(right, first, floating, netip.Addr{})
	second := c.node(at(st, memberIndex(st, first.name)+1))

	// As a crashed keepalived does it: the old machine keeps the address.
	moved := time.Now()
	second.host.AddAddress(0, floating)
	testwait.Real(4*time.Second, "in which the wrong one would be evicted")
	after := c.settle(patience)
	c.undisturbed(moved, st, after)
	rest := time.Now()
	testwait.Real(4*time.Second, "in which somebody who goes on complaining would write twenty lines")
	for _, n := range c.nodes {
		if lines := linesSince(n.logs(), rest); lines > 4 {
			t.Errorf("%s wrote %d lines at info or above in %v, seconds after the address moved", n.name, lines, time.Since(rest))
		}
	}

	c.lab.Pull(first.host)
	first.cutOff = true
	lost := time.Now()
	c.wholeWithin(lost, right, "the former machine of the address is lost")
}

// Another cluster's member, with the same small id, takes over the address of a
// lost member: it never passes for alive.
func TestAnotherClustersMemberAtALostMembersAddress(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 6})
	ours, theirs := c.nodes[:3], c.nodes[3:]
	for _, n := range ours {
		n.start("--expect", "3")
	}
	for _, n := range theirs {
		n.cutOff, n.foreign = true, true
	}
	c.settle(patience)
	for i, n := range theirs {
		// Under our names, and with our ids.
		n.start("--expect", "3", "--cluster", "theirs", "--name", ours[i].name)
	}
	c.await(patience, "the other ring stands", func() bool {
		st, err := theirs[0].status(time.Second)
		return err == nil && len(st.Members) == 3 && st.Settled && st.Leader != nil
	})
	before, err := theirs[0].status(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	st := c.settle(patience)
	lost := c.node(at(st, memberIndex(st, st.Leader.Name)+1))
	twin := theirs[lost.host.Number()-1]
	lost.powerOff()
	lost.cutOff = true
	twin.host.AddAddress(0, lost.host.Addr(0))
	c.wholeWithin(time.Now(), right, "another cluster's member has the lost one's address")
	now, err := theirs[0].status(time.Second)
	if err != nil || now.Epoch > before.Epoch+2 || len(now.Members) != 3 || now.Term != before.Term {
		t.Errorf("the other ring went from %v to %v, %v", before, now, err)
	}
}

// A node whose interfaces are all gone tries again now and then, and is back as
// soon as they are.
func TestWithoutAnyInterface(t *testing.T) {
	c := ringOf(t, 5)
	st := c.settle(patience)
	n := c.node(at(st, memberIndex(st, st.Leader.Name)+1))
	n.host.SetInterfaces(false)
	n.cutOff = true
	c.settle(patience)
	n.closeEyes() // whose questions cost more than all else
	testwait.Real(2*time.Second, "in which the backoff of the redials grows")
	const span = 8 * time.Second
	other := c.node(at(st, memberIndex(st, st.Leader.Name)+2)) // a busy machine costs both more
	before, otherBefore := n.cpu(), other.cpu()
	testwait.Real(span, "which is measured")
	share, otherShare := float64(n.cpu()-before)/float64(span), float64(other.cpu()-otherBefore)/float64(span)
	t.Logf("without interfaces coordinator and monitor take %.1f %% of a core, another node's %.1f %%", 100*share, 100*otherShare)
	if share > max(0.03, otherShare) {
		t.Errorf("without interfaces coordinator and monitor take %.1f %% of a core, want at most 3 %%, or another node's %.1f %%", 100*share, 100*otherShare)
	}
	n.cutOff = false
	n.openEyes()
	n.host.SetInterfaces(true)
	c.wholeWithin(time.Now(), right, "the interfaces are back")
}

// cpu is the processor time that the node's processes took so far.
func (n *node) cpu() (total time.Duration) {
	n.c.t.Helper()
	for _, p := range n.host.Processes() {
		total += p.CPU
	}
	return total
}

// linesSince counts the lines at info or above that were written after t.
func linesSince(log string, t time.Time) (n int) {
	for _, line := range strings.Split(log, "\n") {
		stamp, _, _ := strings.Cut(line, " ")
		at, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", stamp)
		if err == nil && at.After(t) && !strings.Contains(line, "[DEBUG]") && !strings.Contains(line, "[TRACE]") {
			n++
		}
	}
	return n
}
