package arctest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
)

// dials are the TCP connections that a host tried to open, and those of them
// that were refused.
type dials struct{ tried, refused int }

// dialled counts the dials of the nodes' hosts since these were booted.
func dialled(t testing.TB, nodes []*node) map[*node]dials {
	t.Helper()
	all := make(map[*node]dials, len(nodes))
	for _, n := range nodes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp", n.proc.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		if all[n], err = readDials(string(text)); err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
	}
	return all
}

// readDials finds ActiveOpens and AttemptFails in what the kernel says of TCP.
func readDials(snmp string) (d dials, err error) {
	var names, values []string
	for line := range strings.Lines(snmp) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == "Tcp:" {
			names, values = values, fields
		}
	}
	for i, name := range names {
		switch {
		case i >= len(values):
		case name == "ActiveOpens":
			d.tried, err = strconv.Atoi(values[i])
		case name == "AttemptFails":
			d.refused, err = strconv.Atoi(values[i])
		}
		if err != nil {
			return d, err
		}
	}
	if names == nil {
		return d, fmt.Errorf("no figures of TCP in %q", snmp)
	}
	return d, nil
}

// When the leader's process dies, everybody loses connections to it at the same
// moment. Only the one who watches it dials it before all know the next leader.
func TestOnlyTheWatcherRedials(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts twelve nodes")
	}
	c := ringOf(t, 12)
	for try := range 5 {
		st := c.settle(patience)
		leader := c.node(st.Leader.Name)
		watcher := ""
		for _, m := range st.Members {
			if m.Monitors == leader.name {
				watcher = m.Name
			}
		}
		var others []*node
		for _, n := range c.up() {
			if n != leader {
				others = append(others, n)
			}
		}
		testwait.Real(lease, "in which the connections are made that the last change of the ring led to")
		before := dialled(t, others)
		o := c.failover(crash, leader)
		after := dialled(t, others)
		crash.end(leader)
		leader.cutOff = false
		if o.all > 50*time.Millisecond {
			t.Logf("try %d took %v on a busy machine and says nothing", try, o.all)
			continue
		}
		for _, n := range others {
			if refused := after[n].refused - before[n].refused; refused > 0 && n.name != watcher {
				t.Errorf("%s, which does not watch the dead leader %s (%s does), dialled it %d times", n.name, leader.name, watcher, refused)
			}
		}
		t.Logf("within %v %d connections were tried by all together", o.all, o.connects)
		return
	}
	t.Skip("this machine is too busy: no failover of five was fast enough to tell who dialled before it")
}
