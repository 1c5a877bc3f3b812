package arctest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// change asks for a change at a node until it is committed, and remembers it.
func (c *cluster) change(at *node, stagger uint32) {
	c.t.Helper()
	c.await(patience, fmt.Sprintf("stagger_ms=%d is committed", stagger), func() bool {
		_, err := at.arc("config", "set", fmt.Sprintf("stagger_ms=%d", stagger))
		return err == nil
	})
}

// other returns a node that is not the named one.
func (c *cluster) other(name string) *node {
	for _, n := range c.nodes {
		if n.name != name {
			return n
		}
	}
	return nil
}

// A leader whose disk refuses writes stops leading, says why, and comes back by
// itself when the disk takes them again. The others go on, and nothing that was
// acknowledged is lost.
func TestALeaderWhoseDiskFailsComesBackByItself(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 3, FaultyDisks: true}, "--expect", "3")
	c.startAll()
	c.settle(patience)
	stagger := uint32(30)
	for _, f := range []struct {
		name  string
		fault netlab.DiskFault
		says  string
	}{
		{"full", netlab.DiskFault{Full: true}, "no space left on device"},
		{"full in the midst of a write", netlab.DiskFault{Full: true, Room: 17}, "no space left on device"},
		{"read-only", netlab.DiskFault{Write: syscall.EROFS}, "read-only file system"},
		{"writes fail", netlab.DiskFault{Write: syscall.EIO}, "input/output error"},
		{"syncs fail", netlab.DiskFault{Sync: syscall.EIO}, "input/output error"},
	} {
		t.Run(f.name, func(t *testing.T) {
			before := c.settle(patience)
			leader, other := c.node(before.Leader.Name), c.other(before.Leader.Name)
			process := leader.proc
			stagger++
			c.change(other, stagger) // acknowledged, before the fault
			leader.host.BreakDisk(f.fault)
			stagger++
			c.change(other, stagger)
			c.await(patience, leader.name+" says why it is halted", func() bool {
				st, err := leader.status(time.Second)
				return err == nil && st.Phase == "halted" && !st.Claiming && strings.Contains(st.Reason, f.says)
			})
			if !strings.Contains(leader.logs(), "the disk takes no writes") {
				t.Error("the log does not say why")
			}
			leader.proc.Signal(syscall.SIGHUP) // as to any other: it goes on
			leader.cutOff = true
			led := c.settle(patience)
			if led.Leader.Name == leader.name || led.Term <= before.Term {
				t.Errorf("%s leads with token %d after %s with %d", led.Leader.Name, led.Term, leader.name, before.Term)
			}
			leader.host.BreakDisk(netlab.DiskFault{})
			leader.cutOff = false
			after := c.settle(patience)
			if leader.proc != process || !process.Running() {
				t.Error("it was started again")
			}
			if after.Term != led.Term || after.Settings.StaggerMs != stagger {
				t.Errorf("token %d and stagger_ms %d after the repair, want %d and %d", after.Term, after.Settings.StaggerMs, led.Term, stagger)
			}
		})
	}
}

// A disk that hangs, or is slow, costs the ring no change and no second leader. The
// leader is replaced if a write of its own outlasts a lease; nobody is evicted.
func TestADiskThatHangs(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 5, FaultyDisks: true}, "--expect", "5")
	c.startAll()
	c.settle(patience)
	stagger := uint32(30)
	for _, takes := range []time.Duration{100 * time.Millisecond, 5 * time.Second, netlab.Forever} {
		for _, who := range []string{"leader", "heir", "follower"} {
			t.Run(fmt.Sprintf("%s, %v", who, min(takes, time.Hour)), func(t *testing.T) {
				before := c.settle(patience)
				var others []*node
				for _, n := range c.nodes {
					if n.name != before.Leader.Name && n.name != before.Heir {
						others = append(others, n)
					}
				}
				broken := map[string]*node{"leader": c.node(before.Leader.Name), "heir": c.node(before.Heir), "follower": others[0]}[who]
				epoch := before.Epoch
				broken.host.BreakDisk(netlab.DiskFault{Takes: takes})
				stagger++
				c.change(others[1], stagger)
				began := time.Now()
				if takes > 2*lease {
					c.await(patience, broken.name+" says that its disk hangs", func() bool {
						st, err := broken.status(time.Second)
						return err == nil && st.DiskHangs && strings.Contains(broken.logs(), "the disk does not finish a write")
					})
				}
				if who == "leader" && takes > 2*lease {
					c.await(patience, "another one leads", func() bool {
						st, err := others[1].status(time.Second)
						return err == nil && st.Leader.GetName() != "" && st.Leader.GetName() != broken.name
					})
					t.Logf("another one led %v after the change", time.Since(began))
					stagger++
					c.change(others[1], stagger)
					if h := others[1].mustArc("history"); !strings.Contains(h, "handed over by "+broken.name+", whose disk does not finish a write") {
						t.Errorf("the history does not say why:\n%s", h)
					}
				}
				broken.host.BreakDisk(netlab.DiskFault{})
				after := c.settle(patience)
				if replaced := after.Leader.Name != before.Leader.Name; replaced != (who == "leader" && takes > 2*lease) {
					t.Errorf("%s leads after %s", after.Leader.Name, before.Leader.Name)
				}
				if after.Settings.StaggerMs != stagger {
					t.Errorf("stagger_ms is %d, %d was committed", after.Settings.StaggerMs, stagger)
				}
				for _, m := range before.Members {
					for _, d := range after.Departed {
						if d.Id == m.Id && after.Epoch > epoch {
							t.Errorf("%s was taken out: %v", m.Name, d)
						}
					}
				}
			})
		}
	}
}

// The disks of a majority are slow or hang. The leader stays, and claims all the time.
// A change waits until enough of the disks have it, and is then there.
func TestDisksOfAMajorityThatHang(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 5, FaultyDisks: true}, "--expect", "5")
	c.startAll()
	before := c.settle(patience)
	var broken, sound []*node
	for _, n := range c.nodes {
		if n.name != before.Leader.Name && len(broken) < 3 {
			broken = append(broken, n)
		} else {
			sound = append(sound, n)
		}
	}
	began := time.Now()
	stagger := uint32(30)
	for _, takes := range []time.Duration{100 * time.Millisecond, 2 * time.Second, netlab.Forever} {
		t.Run(fmt.Sprint(min(takes, time.Hour)), func(t *testing.T) {
			for _, n := range broken {
				n.host.BreakDisk(netlab.DiskFault{Takes: takes})
			}
			stagger++
			asked, done := time.Now(), make(chan struct{})
			go func() {
				defer close(done)
				// It may be told that it is late; what was asked for is committed all the same.
				_, _ = sound[0].host.Run(patience, *arcBinary, "config", "set", fmt.Sprintf("stagger_ms=%d", stagger))
			}()
			if takes > 2*lease {
				for _, n := range broken {
					c.await(patience, n.name+" says that its disk hangs", func() bool {
						st, err := n.status(time.Second)
						return err == nil && st.DiskHangs
					})
				}
			}
			for _, n := range sound {
				if st, err := n.status(time.Second); err != nil || takes > 2*lease && time.Since(asked) < takes && st.Settings.StaggerMs == stagger {
					t.Errorf("%s knows of a change that only two of five disks can have: %v, %v", n.name, st.GetSettings(), err)
				}
			}
			if takes == netlab.Forever {
				for _, n := range broken {
					n.host.BreakDisk(netlab.DiskFault{})
				}
			}
			c.await(patience, "the change is there", func() bool {
				st, err := sound[0].status(time.Second)
				return err == nil && st.Settings.StaggerMs == stagger
			})
			<-done
			for _, n := range broken {
				n.host.BreakDisk(netlab.DiskFault{})
			}
			after := c.settle(patience)
			wrong := c.log.Heard(began, kind("claim_lost", "leader_lost", "evicted"))
			if after.Leader.Name != before.Leader.Name || after.Term != before.Term || len(wrong) > 0 {
				t.Errorf("%s led with token %d, now %s with %d; meanwhile %v", before.Leader.Name, before.Term, after.Leader.Name, after.Term, wrong)
			}
		})
	}
}
