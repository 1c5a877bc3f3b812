package arctest

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// pathFaults are what can happen to one of a host's networks.
var pathFaults = []struct {
	name      string
	make, end func(l *netlab.Lab, h *netlab.Host, k int)
}{
	{"the switch's cable", swallow(netlab.Hole{In: true, Out: true}), swallow(netlab.Hole{})},
	{"the host's cable", (*netlab.Lab).PullFrom, (*netlab.Lab).PlugInto},
	{"ip link set down",
		func(_ *netlab.Lab, h *netlab.Host, k int) { h.SetInterface(k, false) },
		func(_ *netlab.Lab, h *netlab.Host, k int) { h.SetInterface(k, true) }},
	{"a black hole to the host", swallow(netlab.Hole{In: true}), swallow(netlab.Hole{})},
	{"a black hole from the host", swallow(netlab.Hole{Out: true}), swallow(netlab.Hole{})},
	{"an MTU black hole", swallow(netlab.Hole{In: true, Out: true, Above: 1200}), swallow(netlab.Hole{})},
	{"30 % loss",
		func(l *netlab.Lab, h *netlab.Host, k int) { l.ImpairAt(h, k, netlab.Impairment{Loss: 0.3}) },
		func(l *netlab.Lab, h *netlab.Host, k int) { l.ImpairAt(h, k, netlab.Impairment{}) }},
}

func swallow(frames netlab.Hole) func(*netlab.Lab, *netlab.Host, int) {
	return func(l *netlab.Lab, h *netlab.Host, k int) { l.Swallow(h, k, frames) }
}

// pathRoles are whose network it is.
var pathRoles = []struct {
	name string
	pick func(st *arcv1.StatusResponse, leader int) string
}{
	{"leader", at},
	{"watcher", func(st *arcv1.StatusResponse, leader int) string { return at(st, leader-1) }},
	{"heir", func(st *arcv1.StatusResponse, leader int) string { return at(st, leader+1) }},
	{"follower", func(st *arcv1.StatusResponse, leader int) string { return at(st, leader+2) }},
}

var pathProfiles = flag.String("all-paths", "", "profiles, with commas, in which every fault of one network hits everybody, on two networks and on three; realtime is run with --realtime, fast before all others; -parallel 6 runs all at the same time. Without it four faults hit one each, in lan")

// bears is how long the machine may stand still before a ring of the profile may notice,
// and aftermath how soon after that it does. Paths are checked less often.
var (
	bears     = map[string]time.Duration{"lan": lease / 4, "fast": 20 * time.Millisecond, "realtime": 2500 * time.Microsecond}
	aftermath = map[string]time.Duration{"lan": 2 * time.Second, "fast": time.Second, "realtime": 250 * time.Millisecond}
)

// unwanted is what should not have happened, and when it was heard of.
type unwanted struct {
	what string
	at   time.Time
}

func (u unwanted) String() string { return u.what }

// excuses reports whether the machine had stood still for too long just before all of it.
func (s *stalls) excuses(all []unwanted, profile string) bool {
	return s != nil && !slices.ContainsFunc(all, func(u unwanted) bool {
		return s.longest(u.at.Add(-aftermath[profile]), u.at) < bears[profile]
	})
}

// One network of two gone causes nothing but path_down and path_up.
func TestOneNetworkOfTwo(t *testing.T) {
	if *pathProfiles == "" {
		// These wait most of the time, and bear each other.
		for name, test := range map[string]func(*testing.T){
			"four faults":             func(t *testing.T) { oneNetworkOf(t, 2, "lan", nil) },
			"pulled in turns":         networksPulledInTurns,
			"addresses of both kinds": aCableWithAddressesOfBothKinds,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
		return
	}
	machine := watchStalls(t)
	for profile := range strings.SplitSeq(*pathProfiles, ",") {
		for networks := 2; networks <= 3; networks++ {
			t.Run(fmt.Sprintf("%s, %d networks", profile, networks), func(t *testing.T) {
				t.Parallel()
				oneNetworkOf(t, networks, profile, machine)
			})
		}
	}
}

// oneNetworkOf takes all faults and roles if it is told how long the machine stands still,
// and else four of them.
func oneNetworkOf(t *testing.T, networks int, profile string, machine *stalls) {
	args := []string{"--expect", "5", "--profile", profile}
	if profile == "realtime" {
		args = append(args, "--realtime")
	}
	c := newCluster(t, netlab.Options{Hosts: 5, Networks: networks}, args...)
	for _, n := range c.nodes {
		n.urgent = profile == "fast"
	}
	if machine != nil {
		c.poll = 250 * time.Millisecond // several rings share the machine
	}
	c.startAll()
	c.settle(patience)
	c.havePaths(networks)
	for i, fault := range pathFaults {
		for j, role := range pathRoles {
			for k := range networks {
				if brief := slices.Index([]int{0, 2, 4, 5}, i); machine == nil && (brief != j || k != j%networks) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/network %d", fault.name, role.name, k), func(t *testing.T) {
					ring := c.t
					c.t = t // what is waited for in vain ends this cell alone
					defer func() { c.t = ring }()
					pick := func(st *arcv1.StatusResponse) *netlab.Host {
						return c.node(role.pick(st, memberIndex(st, st.Leader.Name))).host
					}
					for try := 1; ; try++ {
						wrong := c.losesOneNetwork(fault.name, pick, k, func(h *netlab.Host) { fault.make(c.lab, h, k) }, func(h *netlab.Host) { fault.end(c.lab, h, k) })
						if len(wrong) == 0 {
							return
						}
						// What a machine that stood still made happen says nothing of the paths.
						if try == 6 || !machine.excuses(wrong, profile) {
							t.Fatalf("try %d: %v", try, wrong)
						}
						t.Logf("this says nothing, since the machine stood still before all of it: %v", wrong)
					}
				})
			}
		}
	}
}

// Both networks are pulled: that is an ordinary pull.
func TestBothNetworksPulled(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 5, Networks: 2}, "--expect", "5")
	c.startAll()
	st := c.settle(patience)
	leader := c.node(st.Leader.Name)
	began := time.Now()
	c.lab.Pull(leader.host)
	leader.cutOff = true
	next := c.wholeWithin(began, right, "both networks of the leader are pulled")
	c.lab.Plug(leader.host)
	leader.cutOff = false
	if back := c.settle(patience); back.Leader.Name != next.Leader.Name {
		t.Errorf("%s leads since the cables are back, before %s did", back.Leader.Name, next.Leader.Name)
	}
}

// The networks are pulled in turns, of everybody, and never both.
func networksPulledInTurns(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 3, Networks: 2}, "--expect", "3")
	c.startAll()
	before := c.settle(patience)
	began := time.Now()
	for i := range 2 {
		for _, n := range c.nodes {
			c.lab.PullFrom(n.host, i%2)
		}
		pulled := time.Now()
		c.allSay("a switch is off", "path_down", pulled)
		for _, n := range c.nodes {
			c.lab.PlugInto(n.host, i%2)
		}
		c.allSay("a switch is off", "path_up", pulled)
	}
	c.nothingHappened("the switches were off in turns", began, before)
}

// A second network comes while the ring runs, and goes again: the members are listed at
// its addresses and have paths over it as long as it is there.
func TestASecondNetworkComesAndGoes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 3, Networks: 2}, "--expect", "3")
	for _, n := range c.nodes {
		n.host.RemoveAddress(1, n.host.Addr(1))
	}
	c.startAll()
	before := c.settle(patience)
	began := time.Now()
	c.havePaths(1)
	for _, n := range c.nodes {
		n.host.AddAddress(1, n.host.Addr(1))
	}
	c.havePaths(2)
	for _, n := range c.nodes {
		n.host.RemoveAddress(1, n.host.Addr(1))
	}
	c.havePaths(1) // after a while: an address may be gone for a moment only
	c.undisturbed(began, before, c.settle(patience))
	c.everyDownEnds("a second network came and went", began)
}

// A network has addresses of both kinds, and so has its cable: what becomes of it is
// told once. Interfaces that are set down lose those of IPv6.
func aCableWithAddressesOfBothKinds(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 3, Networks: 2}, "--expect", "3", "--bind", "::")
	for i, n := range c.nodes {
		n.host.AddAddress(0, other6(i))
	}
	c.startAll()
	before := c.settle(patience)
	c.havePaths(3)
	for _, f := range pathFaults[:2] {
		for _, wrong := range c.losesOneNetwork(f.name+", with addresses of both kinds", func(st *arcv1.StatusResponse) *netlab.Host {
			return c.node(at(st, memberIndex(st, st.Leader.Name)+1)).host
		}, 0, func(h *netlab.Host) { f.make(c.lab, h, 0) }, func(h *netlab.Host) { f.end(c.lab, h, 0) }) {
			t.Error(wrong)
		}
		c.havePaths(3)
	}
	began := time.Now()
	n := c.nodes[0]
	n.host.SetInterface(0, false)
	c.allSay("an interface is down", "path_down", began)
	c.listedAt(patience, n, n.host.Addr(0), other6(0))
	n.host.SetInterface(0, true)
	n.host.AddAddress(0, other6(0))
	c.havePaths(3)
	c.everyDownEnds("an interface was down", began)
	c.undisturbed(began, before, c.settle(patience))
}

func other6(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd00:77::%d", i+1)) }

// havePaths waits until each node reaches each other one over so many paths, all of
// them up.
func (c *cluster) havePaths(n int) {
	c.t.Helper()
	testwait.UntilNil(c.t, patience, fmt.Sprintf("all members have %d paths to each other", n), func() error { return c.pathsUp(n) })
}

func (c *cluster) pathsUp(n int) error {
	for _, node := range c.up() {
		st, err := node.status(time.Second)
		if err != nil {
			return err
		}
		for _, m := range st.GetMembers() {
			up := slices.DeleteFunc(slices.Clone(m.GetPaths()), func(p *arcv1.Path) bool { return !p.GetUp() })
			if m.GetName() != node.name && (len(up) != n || len(m.GetPaths()) != n) {
				return fmt.Errorf("%s has the paths %v to %s", node.name, m.GetPaths(), m.GetName())
			}
		}
	}
	return nil
}

// losesOneNetwork makes a fault of a host's network k until all nodes have noticed it, and
// returns what is wrong with how the ring bears it.
func (c *cluster) losesOneNetwork(what string, pick func(*arcv1.StatusResponse) *netlab.Host, k int, fault, end func(*netlab.Host)) (wrong []unwanted) {
	c.t.Helper()
	before := c.settle(patience)
	h := pick(before)
	what += " of " + h.Name()
	began := time.Now()
	said := map[string]bool{}
	say := func(word string) {
		for _, n := range c.nodes {
			mine := func(ev observe.Event) bool { return ev.By == n.name && ev.Type() == word && tellsOf(ev, h, k) }
			c.await(patience, fmt.Sprintf("%s: %s says %s", what, n.name, word), func() bool { return len(c.log.Heard(began, mine)) > 0 })
			said[c.log.Heard(began, mine)[0].String()] = true
		}
	}
	fault(h)
	mend := sync.OnceFunc(func() { end(h) })
	defer mend()
	say("path_down")
	mend()
	say("path_up")
	wrong = c.happened(what, began, before)
	for _, ev := range c.log.Heard(began, kind("path_down", "path_up", "path_gone")) {
		if !said[ev.String()] {
			wrong = append(wrong, unwanted{fmt.Sprint(what, ", one word more: ", ev), ev.At})
		}
		delete(said, ev.String())
	}
	return wrong
}

// tellsOf reports whether a node says something of a host's network.
func tellsOf(ev observe.Event, h *netlab.Host, k int) bool {
	p := cmp.Or(ev.GetPathDown(), ev.GetPathUp(), ev.GetPathGone())
	about := ev.By == h.Name() || slices.Contains(p.GetPeers(), h.Name())
	for network := range strings.SplitSeq(p.GetNetwork(), ",") {
		if prefix, err := netip.ParsePrefix(network); err == nil && about && prefix.Contains(h.Addr(k)) {
			return true
		}
	}
	return false
}

// everyDownEnds waits until each word that a path is down has its end, for each member
// and network.
func (c *cluster) everyDownEnds(what string, since time.Time) {
	c.t.Helper()
	testwait.UntilNil(c.t, patience, what+": each path_down has its end", func() error {
		down := map[string]observe.Event{}
		for _, ev := range c.log.Heard(since, kind("path_down", "path_up", "path_gone")) {
			p := cmp.Or(ev.GetPathDown(), ev.GetPathUp(), ev.GetPathGone())
			for network := range strings.SplitSeq(p.GetNetwork(), ",") {
				for _, peer := range p.GetPeers() {
					if key := ev.By + " " + network + " " + peer; ev.GetPathDown() != nil {
						down[key] = ev
					} else {
						delete(down, key)
					}
				}
			}
		}
		for key, ev := range down {
			return fmt.Errorf("%s: %v", key, ev)
		}
		return nil
	})
}

// nothingHappened checks that the ring is as it was, and was so all the time.
func (c *cluster) nothingHappened(what string, since time.Time, before *arcv1.StatusResponse) {
	c.t.Helper()
	for _, wrong := range c.happened(what, since, before) {
		c.t.Error(wrong)
	}
}

// happened returns what happened to the ring, nothing if it is and was as before.
func (c *cluster) happened(what string, since time.Time, before *arcv1.StatusResponse) (wrong []unwanted) {
	c.t.Helper()
	after := c.settle(patience)
	for _, ev := range c.log.Heard(since, kind("claim_lost", "leader_lost", "suspected", "evicted", "relinked")) {
		wrong = append(wrong, unwanted{fmt.Sprint(what, ": ", ev), ev.At})
	}
	if len(wrong) == 0 && (after.Epoch != before.Epoch || after.Term != before.Term) {
		wrong = append(wrong, unwanted{what: fmt.Sprintf("%s: epoch %d, term %d became epoch %d, term %d", what, before.Epoch, before.Term, after.Epoch, after.Term)})
	}
	return wrong
}

// allSay waits until each node has said the word.
func (c *cluster) allSay(what, word string, since time.Time) {
	c.t.Helper()
	c.await(patience, what+": all say "+word, func() bool {
		return !slices.ContainsFunc(c.nodes, func(n *node) bool { return len(c.says(n, word, since)) == 0 })
	})
}

// says returns the node's own events of a type.
func (c *cluster) says(n *node, word string, since time.Time) []observe.Event {
	return c.log.Heard(since, func(ev observe.Event) bool { return ev.Type() == word && ev.By == n.name })
}

// A network of a node is dead, and another cluster's machine has its address there.
// The path to it is down at first, and then there is none: somebody else answers.
func TestADeadPathLeadsElsewhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 4, Networks: 3})
	ours, other := c.nodes[:3], c.nodes[3]
	other.foreign, other.cutOff = true, true
	for _, n := range ours {
		n.start(append([]string{"--expect", "3"}, calm...)...)
	}
	before := c.settle(patience)
	other.start("--bootstrap", "--cluster", "theirs")
	c.havePaths(3)
	began := time.Now()
	lost := c.node(at(before, memberIndex(before, before.Leader.Name)+1))
	c.lab.PullFrom(lost.host, 1)
	told := func(word string) {
		for _, n := range ours {
			if n != lost {
				c.await(patience, n.name+" says "+word, func() bool { return len(c.says(n, word, began)) > 0 })
			}
		}
	}
	told("path_down")
	other.host.AddAddress(1, lost.host.Addr(1))
	told("path_gone")
	other.host.RemoveAddress(1, lost.host.Addr(1))
	c.lab.PlugInto(lost.host, 1)
	c.havePaths(3)
	c.everyDownEnds("a dead path led elsewhere", began)
	c.nothingHappened("a dead path led elsewhere", began, before)
}
