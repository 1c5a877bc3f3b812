package arctest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// atOnce is how many faults the nemesis lets last at the same time.
const atOnce = 2

// fault is what the nemesis did and how it is undone.
type fault struct {
	what string
	node *node // that it is about, if one
	undo func()
	ends time.Time
}

// Random faults for a while; at the end everybody is back, and what was
// recorded meanwhile is checked for G1 to G3.
func TestNemesis(t *testing.T) {
	if testing.Short() {
		t.Skipf("-short: makes random faults for %v", *nemesisFor)
	}
	seed := *nemesisSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay its choices (not the timing) with: scripts/nemesis --seed %d", seed)
	c := ringOf(t, 5)
	n := &nemesis{c: c, chance: rand.New(rand.NewPCG(seed, 0))}
	began := time.Now()
	for time.Since(began) < *nemesisFor {
		n.step(began)
	}
	for len(n.going) > 0 {
		n.end(began, 0)
	}
	c.lab.Heal()
	for _, node := range c.nodes {
		node.cutOff = false
		if !node.proc.Running() {
			node.start()
		}
	}
	healed := time.Now()
	st := c.settle(2 * patience)
	t.Logf("%d faults in %v; all back %v after the last was healed, in term %d, epoch %d", n.count,
		time.Since(began).Round(time.Second), time.Since(healed).Round(time.Millisecond), st.Term, st.Epoch)
	t.Log("the nemesis:\n" + n.story.String())
}

type nemesis struct {
	c      *cluster
	chance *rand.Rand
	going  []*fault
	count  int
	story  strings.Builder
}

// step begins a fault, ends one, or waits a moment.
func (n *nemesis) step(began time.Time) {
	for i, f := range n.going {
		if time.Now().After(f.ends) {
			n.end(began, i)
			return
		}
	}
	if len(n.going) < atOnce && n.chance.IntN(3) > 0 {
		f := n.pick()
		f.ends = time.Now().Add(time.Duration(n.chance.IntN(2500)) * time.Millisecond)
		n.going = append(n.going, f)
		n.count++
		fmt.Fprintf(&n.story, "%8.3f s  %s\n", time.Since(began).Seconds(), f.what)
	}
	time.Sleep(time.Duration(50+n.chance.IntN(400)) * time.Millisecond)
}

func (n *nemesis) end(began time.Time, i int) {
	f := n.going[i]
	n.going = append(n.going[:i:i], n.going[i+1:]...)
	f.undo()
	fmt.Fprintf(&n.story, "%8.3f s  over: %s\n", time.Since(began).Seconds(), f.what)
}

// victim is a node that runs and that no fault is about; the leader every
// other time.
func (n *nemesis) victim() *node {
	var free []*node
	for _, node := range n.c.nodes {
		busy := !node.proc.Running() || !node.host.On()
		for _, f := range n.going {
			busy = busy || f.node == node
		}
		if !busy {
			free = append(free, node)
		}
	}
	if n.chance.IntN(2) == 0 {
		for _, node := range free {
			if st, err := node.status(time.Second); err == nil && st.Claiming {
				return node
			}
		}
	}
	return free[n.chance.IntN(len(free))] // atOnce leaves some
}

func (n *nemesis) pick() *fault {
	v := n.victim()
	lab := n.c.lab
	switch n.chance.IntN(11) {
	case 0:
		v.kill()
		return &fault{"kill -9 of " + v.name, v, func() { v.start() }, time.Time{}}
	case 1:
		for _, m := range v.host.Find("monitor") {
			v.host.SignalPid(m, syscall.SIGKILL)
		}
		return &fault{"kill -9 of the monitor of " + v.name, v, func() {}, time.Time{}}
	case 2:
		v.proc.Stop()
		return &fault{"SIGSTOP of " + v.name, v, v.proc.Continue, time.Time{}}
	case 3:
		v.host.Freeze()
		return &fault{"pause of the machine " + v.name, v, v.host.Thaw, time.Time{}}
	case 4:
		v.powerOff()
		return &fault{"power cut of " + v.name, v, v.boot, time.Time{}}
	case 5:
		lab.Pull(v.host)
		return &fault{"pulled cable of " + v.name, v, func() { lab.Plug(v.host) }, time.Time{}}
	case 6:
		hosts := lab.Hosts()
		n.chance.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		k := 1 + n.chance.IntN(len(hosts)-1)
		lab.Partition(hosts[:k], hosts[k:])
		return &fault{fmt.Sprintf("partition %v | %v", hosts[:k], hosts[k:]), nil, func() { n.mend(hosts[:k], hosts[k:]) }, time.Time{}}
	case 7:
		other := n.c.nodes[n.chance.IntN(len(n.c.nodes))]
		if other == v {
			other = n.c.nodes[v.host.Number()%len(n.c.nodes)]
		}
		lab.CutOneWay(v.host, other.host)
		return &fault{"one-way cut from " + v.name + " to " + other.name, nil, func() { lab.Mend(v.host, other.host) }, time.Time{}}
	case 8:
		worse := netlab.Impairment{
			Delay:  time.Duration(n.chance.IntN(20)) * time.Millisecond,
			Jitter: time.Duration(n.chance.IntN(30)) * time.Millisecond,
			Loss:   n.chance.Float64() / 5, Duplicate: n.chance.Float64() / 5,
		}
		lab.Impair(v.host, worse)
		return &fault{fmt.Sprintf("bad cable of %s: %+v", v.name, worse), v, func() { lab.Impair(v.host, netlab.Impairment{}) }, time.Time{}}
	case 9:
		_, err := v.host.Run(3*time.Second, *arcBinary, "--timeout", "2s", "handover")
		return &fault{fmt.Sprintf("handover, asked at %s (%v)", v.name, err), nil, func() {}, time.Time{}}
	default:
		v.proc.Signal(syscall.SIGTERM)
		return &fault{"SIGTERM of " + v.name, v, func() { v.proc.Wait(patience); v.start() }, time.Time{}}
	}
}

func (n *nemesis) mend(a, b []*netlab.Host) {
	for _, x := range a {
		for _, y := range b {
			n.c.lab.Mend(x, y)
		}
	}
}
