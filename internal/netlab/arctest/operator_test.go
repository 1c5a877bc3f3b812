package arctest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

func TestHandover(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5, calm...)
	st := c.settle(patience)
	heir := st.Heir
	c.nodes[3].mustArc("handover")
	st = c.settle(patience)
	if st.Leader.Name != heir {
		t.Errorf("handed over to %s, want the heir %s", st.Leader.Name, heir)
	}
	to := "n4"
	if st.Leader.Name == to {
		to = "n5"
	}
	// On a busy machine the answer may come too late; the change is what
	// counts.
	if _, err := c.nodes[0].arc("handover", to); err != nil && !contains(err.Error(), "in time") {
		t.Errorf("handover to %s: %v", to, err)
	}
	c.await(patience, to+" leads", func() bool {
		st, err := c.settled()
		return err == nil && st.Leader.Name == to
	})
	if _, err := c.nodes[0].arc("handover", "nobody"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("handover to an unknown member: %v", err)
	}
}

func TestLeaveAndTerminate(t *testing.T) {
	c := ringOf(t, 5, calm...)
	st := c.settle(patience)

	leader := c.node(st.Leader.Name)
	began := time.Now()
	leader.terminate()
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("a terminated leader took %v to exit, want 5 s at most", took)
	}
	next := c.settle(patience)
	if next.Leader.Name != st.Heir {
		t.Errorf("%s leads after SIGTERM, want the heir %s", next.Leader.Name, st.Heir)
	}
	c.await(patience, leader.name+" runs nothing any more", func() bool { return len(leader.host.Processes()) == 0 })

	var follower *node
	for _, n := range c.up() {
		if n.name != next.Leader.Name {
			follower = n
		}
	}
	follower.mustArc("leave")
	follower.cutOff = true
	c.settle(patience)
}

func TestEvict(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5)
	st := c.settle(patience)
	victim := c.node(at(st, memberIndex(st, st.Leader.Name)+2))
	victim.powerOff()
	// The operator is faster than the ring, or not: both are fine.
	if _, err := c.node(st.Leader.Name).arc("evict", victim.name); err != nil && !contains(err.Error(), "member") {
		t.Errorf("evict %s: %v", victim.name, err)
	}
	c.settle(patience)
}

// ARC's original rule.
func TestOnJoinLead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 4}, "--expect", "3")
	for _, n := range c.nodes[:3] {
		n.start()
	}
	c.settle(patience)
	newcomer := c.nodes[3]
	newcomer.start("--on-join", "lead")
	c.await(patience, "the newcomer leads", func() bool {
		st, err := c.settled()
		return err == nil && st.Leader.Name == newcomer.name
	})
}

func TestWitnessBreaksTheTieAndNeverLeads(t *testing.T) {
	t.Parallel()
	c := newCluster(t, netlab.Options{Hosts: 3}, "--expect", "3")
	c.nodes[2].args = append(c.nodes[2].args, "--witness")
	c.startAll()
	st := c.settle(patience)
	leader := c.node(st.Leader.Name)
	leader.powerOff()
	next := c.settle(patience)
	if next.Leader.Name == "n3" {
		t.Error("the witness leads")
	}
	if next.Leader.Name == st.Leader.Name {
		t.Errorf("%s leads without power", st.Leader.Name)
	}
}

// The settings are one ring's, changed at run time from anywhere.
func TestSettingsChange(t *testing.T) {
	c := ringOf(t, 3)
	c.nodes[2].mustArc("config", "set", "profile=fast")
	c.await(patience, "all nodes have the new settings", func() bool {
		for _, n := range c.nodes {
			st, err := n.status(time.Second)
			if err != nil || st.Settings.LeaseMs != 150 {
				return false
			}
		}
		return true
	})
	leader := c.node(c.settle(patience).Leader.Name)
	began := time.Now()
	c.lab.Pull(leader.host)
	leader.cutOff = true
	c.settle(patience)
	t.Logf("with the fast profile all agree %v after a pull", time.Since(began).Round(time.Millisecond))
	c.lab.Plug(leader.host)
	leader.cutOff = false
	c.settle(patience)
}

// What scripts outside read: one object per line, the snapshot first.
func TestWatchAndStatusSpeakTheContract(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 3)
	st := c.settle(patience)
	watcher := c.nodes[0]
	if watcher.name == st.Leader.Name {
		watcher = c.nodes[1]
	}
	p := watcher.host.Start(*arcBinary, "watch", "-o", "json")
	c.await(patience, "the snapshot", func() bool { return strings.Contains(p.Stdout(), "\n") })
	c.node(st.Leader.Name).kill()
	c.settle(patience)
	c.await(patience, "the declaration on the stream", func() bool { return strings.Contains(p.Stdout(), "leader_declared") })
	for i, line := range strings.Split(strings.TrimSpace(p.Stdout()), "\n") {
		var e struct {
			Time, Epoch, Term, Type, Node *string
			Detail                        map[string]any
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("line %d: %v: %s", i+1, err, line)
		}
		if e.Time == nil || e.Epoch == nil || e.Term == nil || e.Type == nil || e.Node == nil {
			t.Errorf("line %d lacks a field: %s", i+1, line)
		} else if (i == 0) != (*e.Type == "snapshot") {
			t.Errorf("line %d is a %s", i+1, *e.Type)
		}
	}

	var status struct {
		Cluster, RingID, Epoch, Term, Self, Heir *string
		Leader                                   *struct{ ID, Name string }
		Claiming                                 *bool
		LeaseMS                                  *float64 `json:"lease_ms"`
		Members                                  []map[string]any
		Settings                                 map[string]any
	}
	out := watcher.mustArc("status", "-o", "json")
	if err := json.Unmarshal([]byte(strings.ReplaceAll(out, "ring_id", "RingID")), &status); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if status.Cluster == nil || status.RingID == nil || status.Epoch == nil || status.Term == nil || status.Self == nil || status.Heir == nil ||
		status.Leader == nil || status.Claiming == nil || status.LeaseMS == nil || len(status.Members) != 2 || len(status.Settings) == 0 {
		t.Errorf("a field is missing in %s", out)
	}
	if got := strings.TrimSpace(watcher.mustArc("leader")); got != c.settle(patience).Leader.Name {
		t.Errorf("arc leader prints %q", got)
	}
}

// A full disk is one node's trouble: it says so, and the ring goes on.
func TestFullDisk(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 4, DiskBytes: 64 << 20}, "--expect", "3")
	for _, n := range c.nodes[:3] {
		n.start()
	}
	before := c.settle(patience)

	// Before the start: the newcomer has nowhere to write.
	newcomer := c.nodes[3]
	newcomer.host.FillDisk()
	newcomer.start()
	newcomer.cutOff = true
	c.await(patience, "an error that names the trouble", func() bool { return contains(newcomer.logs(), "no space left") })
	c.await(patience, "the end of the newcomer", func() bool { return !newcomer.proc.Running() })
	if after := c.settle(patience); after.Term != before.Term {
		t.Errorf("the term went from %d to %d because a newcomer's disk is full", before.Term, after.Term)
	}
	newcomer.host.FreeDisk()
	newcomer.start()
	newcomer.cutOff = false
	c.settle(patience)

	// While it runs, be it the leader: changes are committed all the same, by
	// it (its log may have room set aside) or by the next one.
	leader := c.node(before.Leader.Name)
	leader.host.FillDisk()
	for i := range 20 {
		c.await(patience, "a change is committed", func() bool {
			_, err := newcomer.arc("config", "set", fmt.Sprintf("stagger_ms=%d", 30+i))
			return err == nil
		})
	}
	leader.host.FreeDisk()
	if !leader.proc.Running() {
		leader.start()
	}
	if st := c.settle(patience); st.Settings.StaggerMs != 49 {
		t.Errorf("the setting is %d, the last one committed was 49", st.Settings.StaggerMs)
	}
}
