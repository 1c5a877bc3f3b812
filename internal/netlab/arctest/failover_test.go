package arctest

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func contains(s, sub string) bool { return strings.Contains(strings.ToLower(s), sub) }

// succession is the test's own idea of who leads next.
type succession struct{ led []string } // most recent last

func (s *succession) add(name string) {
	s.led = append(slices.DeleteFunc(s.led, func(n string) bool { return n == name }), name)
}

// next is the heir among the members.
func (s *succession) next(members []*arcv1.MemberStatus, without string) string {
	alive := map[string]bool{}
	lowest := ""
	for _, m := range members { // in order of ids
		if m.Name != without {
			alive[m.Name] = true
			if lowest == "" {
				lowest = m.Name
			}
		}
	}
	for _, name := range slices.Backward(s.led) {
		if alive[name] {
			return name
		}
	}
	return lowest
}

func TestLeaderAfterLeaderDownToTheLast(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5, calm...)
	st := c.settle(patience)
	order := &succession{}
	order.add(st.Leader.Name)
	for len(c.up()) > 1 {
		dead := st.Leader.Name
		want := order.next(st.Members, dead)
		if st.Heir != want {
			t.Errorf("with %s as leader the heir is %s, want %s", dead, st.Heir, want)
		}
		began := time.Now()
		c.node(dead).kill()
		next := c.settle(patience)
		t.Logf("%s after %s, seen by all %v after the kill", next.Leader.Name, dead, time.Since(began).Round(time.Millisecond))
		if next.Leader.Name != want {
			t.Errorf("%s leads after %s, want %s", next.Leader.Name, dead, want)
		}
		if next.Term <= st.Term {
			t.Errorf("the token went from %d to %d", st.Term, next.Term)
		}
		order.add(next.Leader.Name)
		st = next
	}

	// And all the way back.
	highest := uint64(5)
	for len(c.up()) < 5 {
		n := c.nodes[slices.IndexFunc(c.nodes, func(n *node) bool { return !n.proc.Running() })]
		before := time.Now()
		leader := st.Leader.Name
		n.start()
		st = c.settle(patience)
		tail := st.Members[len(st.Members)-1]
		if tail.Name != n.name || tail.Id <= highest {
			t.Errorf("%s came back as %s with id %d, want the tail with an id above %d", n.name, tail.Name, tail.Id, highest)
		}
		highest = tail.Id
		if st.Leader.Name != leader {
			t.Errorf("the leader changed from %s to %s because %s came back", leader, st.Leader.Name, n.name)
		}
		if want := order.next(st.Members, leader); st.Heir != want {
			t.Errorf("with %s back the heir is %s, want %s", n.name, st.Heir, want)
		}
		// The event may come after the status that shows it.
		c.await(patience, "the old tail was linked to "+n.name, func() bool { return len(c.linksMoved(before, n.name, st.Epoch)) > 0 })
		if moved := c.linksMoved(before, n.name, st.Epoch); len(moved) != 1 {
			t.Errorf("%d existing links moved for one join: %v", len(moved), moved)
		}
	}
}

// linksMoved returns the relinkings of others than the newcomer, from the epoch
// of its join on: news of the time before may come late.
func (c *cluster) linksMoved(since time.Time, newcomer string, epoch uint64) []observe.Event {
	return c.log.Heard(since, func(h observe.Event) bool {
		return h.GetRelinked() != nil && h.Epoch >= epoch && h.By != newcomer && h.GetRelinked().GetFrom() != h.GetRelinked().GetTarget()
	})
}

func TestTwoNeighboursKilledAtOnce(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(st *arcv1.StatusResponse, i int) []string{
		"followers": func(st *arcv1.StatusResponse, leader int) []string {
			return []string{at(st, leader+2), at(st, leader+3)}
		},
		"the leader and its watcher": func(st *arcv1.StatusResponse, leader int) []string {
			return []string{at(st, leader), at(st, leader-1)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := ringOf(t, 5)
			st := c.settle(patience)
			leader := slices.IndexFunc(st.Members, func(m *arcv1.MemberStatus) bool { return m.Name == st.Leader.Name })
			victims := pick(st, leader)
			began := time.Now()
			for _, name := range victims {
				c.node(name).proc.Signal(syscall.SIGKILL)
			}
			for _, name := range victims {
				c.node(name).proc.Wait(patience)
			}
			c.settle(patience)
			t.Logf("closed over the living %v after %v were killed", time.Since(began).Round(time.Millisecond), victims)
		})
	}
}

// at returns the i-th member's name, round the ring.
func at(st *arcv1.StatusResponse, i int) string {
	return st.Members[(i+len(st.Members))%len(st.Members)].Name
}

func TestStoppedLeaderIsReplacedAndNeverClaimsAgain(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5, calm...)
	st := c.settle(patience)
	old := c.node(st.Leader.Name)
	oldID, oldTerm := st.Leader.Id, st.Term

	stopped := time.Now()
	old.proc.Stop()
	old.cutOff = true
	next := c.settle(patience)
	t.Logf("%s leads %v after %s was stopped", next.Leader.Name, time.Since(stopped).Round(time.Millisecond), old.name)

	resumed := time.Now()
	old.proc.Continue()
	old.cutOff = false
	back := c.settle(patience)
	for _, s := range c.log.Claims(old.name) {
		if s.Asked.After(resumed) && s.Term == oldTerm {
			t.Errorf("%s claimed in its old term %d, %v after it went on", old.name, oldTerm, s.Asked.Sub(resumed))
		}
	}
	if tail := back.Members[len(back.Members)-1]; tail.Name != old.name || tail.Id == oldID {
		t.Errorf("the tail is %s with id %d, want %s under another id than %d", tail.Name, tail.Id, old.name, oldID)
	}
	if back.Leader.Name != next.Leader.Name {
		t.Errorf("%s leads since %s is back", back.Leader.Name, old.name)
	}
}

// A paused virtual machine: coordinator and monitor stop and go on together.
func TestPausedMachine(t *testing.T) {
	c := ringOf(t, 5)
	st := c.settle(patience)
	old := c.node(st.Leader.Name)
	old.host.Freeze()
	old.cutOff = true
	c.settle(patience)
	old.host.Thaw()
	old.cutOff = false
	c.settle(patience)
}

func TestKilledMonitorIsReplacedAndNothingElseHappens(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 3, calm...)
	before := c.settle(patience)
	n := c.nodes[1]
	old := n.monitor()
	n.host.SignalPid(old, syscall.SIGKILL)
	c.await(patience, "a new monitor", func() bool {
		found := n.host.Find("monitor")
		return len(found) == 1 && found[0].Pid != old.Pid
	})
	after := c.settle(patience)
	if after.Epoch != before.Epoch || after.Term != before.Term {
		t.Errorf("epoch and term went from %d, %d to %d, %d", before.Epoch, before.Term, after.Epoch, after.Term)
	}
	// The new one does the work: its neighbour's death is noticed.
	c.node(before.Members[(memberIndex(before, n.name)+1)%3].Name).kill()
	c.settle(patience)
}

func memberIndex(st *arcv1.StatusResponse, name string) int {
	return slices.IndexFunc(st.Members, func(m *arcv1.MemberStatus) bool { return m.Name == name })
}

func TestDoorbellByHandDialsAfresh(t *testing.T) {
	c := ringOf(t, 3, calm...)
	before := c.settle(patience)
	n := c.nodes[0]
	monitor := n.monitor()
	lines := len(n.logs())
	var signalled time.Time
	c.await(patience, "the monitor says that it dials afresh", func() bool {
		// One that comes with a link counts as that one's.
		if time.Since(signalled) > time.Second {
			n.host.SignalPid(monitor, syscall.SIGUSR1)
			signalled = time.Now()
		}
		return contains(n.logs()[lines:], `reason="an operator's signal"`)
	})
	after := c.settle(patience)
	if after.Epoch != before.Epoch || n.monitor().Pid != monitor.Pid {
		t.Errorf("more happened than a fresh dial: epoch %d to %d, monitor %d to %d", before.Epoch, after.Epoch, monitor.Pid, n.monitor().Pid)
	}
}
