package arctest

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"

	"github.com/arc-ring/arc/internal/netlab"
)

func TestPulledCables(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(st *arcv1.StatusResponse, leader int) []string{
		"of the leader": func(st *arcv1.StatusResponse, leader int) []string { return []string{at(st, leader)} },
		"of a follower": func(st *arcv1.StatusResponse, leader int) []string { return []string{at(st, leader+1)} },
		"of two neighbours": func(st *arcv1.StatusResponse, leader int) []string {
			return []string{at(st, leader+2), at(st, leader+3)}
		},
		"of the leader and its watcher": func(st *arcv1.StatusResponse, leader int) []string {
			return []string{at(st, leader), at(st, leader-1)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := ringOf(t, 5)
			st := c.settle(patience)
			victims := pick(st, memberIndex(st, st.Leader.Name))
			began := time.Now()
			for _, name := range victims {
				c.lab.Pull(c.node(name).host)
				c.node(name).cutOff = true
			}
			next := c.settle(patience)
			t.Logf("%s leads, closed over the living %v after the pull", next.Leader.Name, time.Since(began).Round(time.Millisecond))

			began = time.Now()
			for _, name := range victims {
				c.lab.Plug(c.node(name).host)
				c.node(name).cutOff = false
			}
			back := c.settle(patience)
			t.Logf("all back %v after the plug", time.Since(began).Round(time.Millisecond))
			if back.Leader.Name != next.Leader.Name {
				t.Errorf("%s leads since the cable is back, before %s did", back.Leader.Name, next.Leader.Name)
			}
		})
	}
}

// The second fault, right after the first, must cost no more than the first.
func TestAPullRightAfterAHeal(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5)
	for range 3 {
		st := c.settle(patience)
		leader := c.node(st.Leader.Name)
		began := time.Now()
		c.lab.Pull(leader.host)
		leader.cutOff = true
		next := c.settle(patience)
		t.Logf("%s after %s: %v", next.Leader.Name, leader.name, time.Since(began).Round(time.Millisecond))
		c.lab.Plug(leader.host)
		leader.cutOff = false
	}
	c.settle(patience)
}

// The leader is on the smaller side: its claim ends within one lease, and the
// other side has a leader, never both at once.
func TestLeaderInAMinority(t *testing.T) {
	c := ringOf(t, 5)
	st := c.settle(patience)
	i := memberIndex(st, st.Leader.Name)
	var minority, majority []*node
	for k := range st.Members {
		n := c.node(at(st, i+k))
		if k < 2 {
			minority = append(minority, n)
		} else {
			majority = append(majority, n)
		}
	}
	old := minority[0]
	c.lab.Partition(hostsOf(minority), hostsOf(majority))
	cut := time.Now() // the last path is cut by now
	for _, n := range minority {
		n.cutOff = true
	}
	next := c.settle(patience)

	// The old leader's claim, from its own answers: until the last moment at
	// which it claimed, and until the end of the lease that it named then.
	var ends time.Time
	for _, s := range c.log.Claims(old.name) {
		if s.Asked.After(cut) && s.Asked.Sub(cut) > lease {
			t.Errorf("%s claims %v after it was cut off with a minority, the lease is %v", old.name, s.Asked.Sub(cut), lease)
		}
		if end := s.Asked.Add(s.LeaseLeft); end.After(ends) {
			ends = end
		}
	}
	c.await(patience, next.Leader.Name+" is seen claiming", func() bool { return len(c.log.Claims(next.Leader.Name)) > 0 })
	first := c.log.Claims(next.Leader.Name)
	t.Logf("%s claims until %v after the cut, %s from %v on", old.name,
		ends.Sub(cut).Round(time.Millisecond), next.Leader.Name, first[0].Answered.Sub(cut).Round(time.Millisecond))
	if first[0].Answered.Before(ends) {
		t.Errorf("%s claims already, %s for another %v", next.Leader.Name, old.name, ends.Sub(first[0].Answered))
	}
	if out, err := old.arc("leader", "--self"); err == nil {
		t.Errorf("arc leader --self succeeds on the minority's %s: %s", old.name, out)
	}

	c.lab.Heal()
	for _, n := range minority {
		n.cutOff = false
	}
	if back := c.settle(patience); back.Leader.Name != next.Leader.Name {
		t.Errorf("%s leads after the heal, before %s did", back.Leader.Name, next.Leader.Name)
	}
}

func hostsOf(nodes []*node) []*netlab.Host {
	var list []*netlab.Host
	for _, n := range nodes {
		list = append(list, n.host)
	}
	return list
}

// One way only: the leader hears all and is heard by nobody, or the reverse.
func TestOneWayCutsOfTheLeader(t *testing.T) {
	t.Parallel()
	for name, mute := range map[string]bool{"mute": true, "deaf": false} {
		t.Run(name, func(t *testing.T) {
			c := ringOf(t, 5)
			st := c.settle(patience)
			leader := c.node(st.Leader.Name)
			for _, n := range c.nodes {
				switch {
				case n == leader:
				case mute:
					c.lab.CutOneWay(leader.host, n.host)
				default:
					c.lab.CutOneWay(n.host, leader.host)
				}
			}
			leader.cutOff = true
			began := time.Now()
			next := c.settle(patience)
			t.Logf("%s leads %v after %s went %s", next.Leader.Name, time.Since(began).Round(time.Millisecond), leader.name, name)
			c.lab.Heal()
			leader.cutOff = false
			c.settle(patience)
		})
	}
}

// Two that do not see each other, while everybody else sees both: somebody
// leads all the time that the cut lasts (G6), and all is well after it.
func TestTriangle(t *testing.T) {
	c := ringOf(t, 5)
	st := c.settle(patience)
	leader := c.node(st.Leader.Name)
	heir := c.node(st.Heir)
	c.lab.Cut(leader.host, heir.host)
	began := time.Now()
	longest, last := time.Duration(0), began
	for time.Since(began) < 4*time.Second {
		for _, n := range c.nodes {
			if s, err := n.status(time.Second); err == nil && s.Claiming {
				last = time.Now()
			}
		}
		longest = max(longest, time.Since(last))
		testwait.Real(pollEvery, "between two rounds of questions")
	}
	t.Logf("with %s cut from %s nobody led for %v at the longest", leader.name, heir.name, longest.Round(time.Millisecond))
	if longest > 3*time.Second {
		t.Errorf("no leader for %v although a majority talks", longest)
	}
	c.lab.Heal()
	c.settle(patience)
}

// A power cut says nothing: no exit, no reset.
func TestPowerCut(t *testing.T) {
	c := ringOf(t, 3)
	st := c.settle(patience)
	leader := c.node(st.Leader.Name)
	began := time.Now()
	leader.powerOff()
	next := c.settle(patience)
	t.Logf("%s leads %v after %s lost power", next.Leader.Name, time.Since(began).Round(time.Millisecond), leader.name)
	leader.boot()
	c.settle(patience)

	// Of two, the one left does not lead when the other's cable is pulled.
	pair := c.up()[:2]
	c.up()[2].terminate()
	st = c.settle(patience)
	gone, left := c.node(st.Leader.Name), pair[0]
	if left == gone {
		left = pair[1]
	}
	c.lab.Pull(gone.host)
	cut := time.Now()
	testwait.Real(4*lease, "in which one of them would claim")
	for _, n := range []*node{gone, left} {
		for _, s := range c.log.Claims(n.name) {
			if s.Asked.Sub(cut) > lease {
				t.Errorf("%s claims %v after the two lost each other", n.name, s.Asked.Sub(cut))
				break
			}
		}
	}
	c.lab.Plug(gone.host)
	c.settle(patience)
}
