package arctest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
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
	c := newCluster(t, netlab.Options{Hosts: 5, Networks: 2, FaultyDisks: true}, "--expect", "5")
	for _, node := range c.nodes {
		node.host.AddBridge("docker0", bridgeAddress, true)
	}
	c.startAll()
	c.settle(patience)
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
	n.calmSettings()
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
	// rotations is how many steps the rotation of the secret took, the last one at
	// rotated.
	rotations int
	rotated   time.Time
}

// restart starts what ended by itself, as a service manager does: a monitor kills
// a coordinator that was stopped for too long, and in realtime that is not long.
func (n *nemesis) restart() {
	for _, node := range n.c.nodes {
		about := slices.ContainsFunc(n.going, func(f *fault) bool { return f.node == node })
		if !about && node.host.On() && !node.proc.Running() {
			node.start()
		}
	}
}

// step begins a fault, ends one, or waits a moment.
func (n *nemesis) step(began time.Time) {
	n.restart()
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
	testwait.Real(time.Duration(50+n.chance.IntN(400))*time.Millisecond, "between two steps")
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

func (n *nemesis) pick() *fault { return mischief[n.chance.IntN(len(mischief))](n, n.victim()) }
