package arctest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// patience is how long something may take that takes far less on a quiet
	// machine; no figure is measured by it.
	patience = 20 * time.Second
	// lease is that of the lan profile, which all tests use unless they say so.
	lease = 500 * time.Millisecond
)

// calm is for tests of what must not happen: a machine that stops for half a
// second is no fault of ARC's.
var calm = []string{"--profile", "wan"}

// cluster is a ring of real coordinators, one per host.
type cluster struct {
	t     testing.TB
	lab   *netlab.Lab
	nodes []*node
	log   *record
	// poll is how often each node is asked whether it claims; 0: by their
	// number.
	poll time.Duration
}

// node is a host and the coordinator on it.
type node struct {
	c    *cluster
	name string
	host *netlab.Host
	args []string
	proc *netlab.Process
	old  []*netlab.Process
	api  *client.Client
	eyes *eyes
	// foreign: it belongs to another cluster, and is not recorded.
	foreign bool
	// cutOff is set while the test does not expect the node in the ring.
	cutOff bool
}

// newCluster makes the lab and starts nothing. Every node is told the args.
func newCluster(t testing.TB, o netlab.Options, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, lab: netlab.New(t, o), log: newRecord()}
	for _, h := range c.lab.Hosts() {
		c.nodes = append(c.nodes, &node{c: c, name: h.Name(), host: h, args: slices.Clone(args)})
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.closeEyes()
		}
		c.keepLogs()
		c.checkLogs()
		if !t.Failed() {
			c.log.check(t)
		}
		if t.Failed() {
			c.dump()
		}
	})
	return c
}

// ringOf starts n nodes with --expect n and waits for their ring.
func ringOf(t testing.TB, n int, args ...string) *cluster {
	t.Helper()
	c := newCluster(t, netlab.Options{Hosts: n}, append([]string{"--expect", fmt.Sprint(n)}, args...)...)
	c.startAll()
	c.settle(patience)
	return c
}

func (c *cluster) startAll() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.start()
	}
}

// node returns the node with the name.
func (c *cluster) node(name string) *node {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	c.t.Fatalf("there is no node %q", name)
	return nil
}

// up returns the nodes whose coordinator runs and that are not cut off.
func (c *cluster) up() []*node {
	var list []*node
	for _, n := range c.nodes {
		if n.proc != nil && n.proc.Running() && !n.cutOff {
			list = append(list, n)
		}
	}
	return list
}

// settle waits until all nodes that are up agree on one ring of exactly them,
// closed, with a leader that claims. It returns the leader's view.
func (c *cluster) settle(limit time.Duration) *arcv1.StatusResponse {
	c.t.Helper()
	var found *arcv1.StatusResponse
	testwait.UntilNil(c.t, limit, fmt.Sprintf("the ring of %s is settled", names(c.up())), func() error {
		var why string
		if found, why = c.settled(); why != "" {
			return errors.New(why)
		}
		return nil
	})
	return found
}

// settled looks once; why is empty if all is well.
func (c *cluster) settled() (leader *arcv1.StatusResponse, why string) {
	up := c.up()
	var first *arcv1.StatusResponse
	for _, n := range up {
		st, err := n.status(time.Second)
		if err != nil {
			return nil, err.Error()
		}
		if why := closedRing(st, up); why != "" {
			return nil, n.name + " says: " + why
		}
		if !st.Settled {
			return nil, n.name + " says: a change of raft's configuration is outstanding"
		}
		if first == nil {
			first = st
		}
		if st.Epoch != first.Epoch || st.StateHash != first.StateHash || st.RingId != first.RingId {
			return nil, fmt.Sprintf("%s is at epoch %d of ring %s, %s at epoch %d of ring %s (hashes %.8s, %.8s)",
				first.Self, first.Epoch, first.RingId, st.Self, st.Epoch, st.RingId, first.StateHash, st.StateHash)
		}
		if st.Self != st.GetLeader().GetName() {
			if st.Claiming {
				return nil, n.name + " claims and does not lead"
			}
			continue
		}
		if !st.Claiming {
			return nil, n.name + " leads and does not claim: " + st.Reason
		}
		leader = st
	}
	if leader == nil {
		return nil, "no leader claims"
	}
	return leader, c.unsettledVotes(leader)
}

// unsettledVotes says what is not right about who votes. A dead voter leaves
// raft's configuration a round trip after the declaration, and until then it
// counts for the majority.
func (c *cluster) unsettledVotes(leader *arcv1.StatusResponse) string {
	want := min(len(leader.Members), int(leader.Settings.MaxVoters))
	voters := 0
	for _, m := range leader.Members {
		if m.Voter {
			voters++
		}
	}
	if voters != want {
		return fmt.Sprintf("%d of %d members vote, want %d", voters, len(leader.Members), want)
	}
	if len(leader.Voters) != want {
		return fmt.Sprintf("%d have a vote, want %d of %d members", len(leader.Voters), want, len(leader.Members))
	}
	return ""
}

// closedRing checks one node's view.
func closedRing(st *arcv1.StatusResponse, up []*node) string {
	if st.Leader == nil {
		return "no leader: " + st.Reason
	}
	if got, want := memberNames(st), names(up); !sameSet(got, want) {
		return fmt.Sprintf("the members are %v, want %v", got, want)
	}
	for i, m := range st.Members {
		next := st.Members[(i+1)%len(st.Members)].Name
		if len(st.Members) == 1 {
			next = ""
		}
		if m.Monitors != next {
			return fmt.Sprintf("%s monitors %q, want %q", m.Name, m.Monitors, next)
		}
		if !m.Alive {
			return m.Name + " is suspect"
		}
		if i > 0 && m.Id <= st.Members[i-1].Id {
			return fmt.Sprintf("the ids do not rise: %d after %d", m.Id, st.Members[i-1].Id)
		}
	}
	return ""
}

func memberNames(st *arcv1.StatusResponse) []string {
	var list []string
	for _, m := range st.Members {
		list = append(list, m.Name)
	}
	return list
}

func names(nodes []*node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.name)
	}
	return list
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// start starts the node's coordinator.
func (n *node) start(more ...string) {
	n.c.t.Helper()
	args := []string{"coordinator", "--insecure", "--data-dir", filepath.Join(n.host.Dir(), "data"), "--log-level", "debug"}
	args = append(append(args, n.args...), more...)
	if n.proc != nil {
		n.old = append(n.old, n.proc)
	}
	n.closeEyes()
	n.proc = n.host.Start(*arcBinary, args...)
	n.openEyes()
}

// openEyes begins to record what the node says.
func (n *node) openEyes() {
	n.c.t.Helper()
	var err error
	n.api, err = client.New("unix://" + n.host.Outside("/run/arc/"+client.SocketName))
	if err != nil {
		n.c.t.Fatal(err)
	}
	if n.foreign {
		return
	}
	every := n.c.poll
	if every == 0 {
		every = pollEvery * time.Duration(max(1, len(n.c.nodes)*len(n.c.nodes)/25))
	}
	n.eyes = watch(n.name, n.api, n.c.log, every)
}

func (n *node) closeEyes() {
	if n.eyes != nil {
		n.eyes.close()
		n.eyes = nil
		_ = n.api.Close()
	}
}

// status asks the node's own view.
func (n *node) status(limit time.Duration) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	st, err := n.api.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", n.name, err)
	}
	return st, nil
}

// arc runs an arc command on the node's host.
func (n *node) arc(args ...string) (string, error) {
	n.c.t.Helper()
	return n.host.Run(patience, *arcBinary, args...)
}

// mustArc is arc for a command that has to succeed.
func (n *node) mustArc(args ...string) string {
	n.c.t.Helper()
	out, err := n.arc(args...)
	if err != nil {
		n.c.t.Fatal(err)
	}
	return out
}

// kill ends the coordinator with kill -9; its monitor certifies that.
func (n *node) kill() { n.c.t.Helper(); n.proc.Kill() }

// terminate asks the coordinator to hand over, leave and exit.
func (n *node) terminate() {
	n.c.t.Helper()
	n.proc.Signal(syscall.SIGTERM)
	n.proc.Wait(patience)
}

// monitor returns the node's monitor process.
func (n *node) monitor() netlab.Found {
	n.c.t.Helper()
	found := n.host.Find("monitor")
	if len(found) != 1 {
		n.c.t.Fatalf("%s runs %d monitors, want 1: %+v", n.name, len(found), n.host.Processes())
	}
	return found[0]
}

// powerOff ends the host without a word; boot brings it and its coordinator
// back.
func (n *node) powerOff() {
	n.c.t.Helper()
	n.closeEyes()
	n.host.PowerOff()
	n.proc.Wait(patience)
}

func (n *node) boot() {
	n.c.t.Helper()
	n.host.Boot()
	n.start()
}

// await asks every few milliseconds until the answer is yes.
func (c *cluster) await(limit time.Duration, what string, yes func() bool) {
	c.t.Helper()
	testwait.Until(c.t, limit, what, yes)
}

// crashed matches what no program of ours may ever say.
var crashed = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE|goroutine \d+ \[).*$`)

// checkLogs looks for panics and, in a binary that was built with -race, races.
func (c *cluster) checkLogs() {
	for _, n := range c.nodes {
		if said := n.logs(); crashed.MatchString(said) {
			at := crashed.FindStringIndex(said)[0]
			c.t.Errorf("%s crashed:\n%s", n.name, said[max(0, at-500):min(len(said), at+6000)])
		}
	}
}

// keepLogs copies the logs where the flag says.
func (c *cluster) keepLogs() {
	if *keepLogs == "" {
		return
	}
	for _, n := range c.nodes {
		dir := filepath.Join(*keepLogs, c.t.Name())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			c.t.Log(err)
			return
		}
		if err := os.WriteFile(filepath.Join(dir, n.name+".log"), []byte(n.logs()), 0o644); err != nil {
			c.t.Log(err)
		}
	}
}

// logs is what all of the node's coordinators said.
func (n *node) logs() string {
	var all strings.Builder
	for _, p := range append(slices.Clone(n.old), n.proc) {
		if p != nil {
			fmt.Fprintf(&all, "--- process %d\n%s", p.Pid(), p.Stderr())
		}
	}
	return all.String()
}

// dump prints the end of every node's log and the recorded events.
func (c *cluster) dump() {
	for _, n := range c.nodes {
		lines := strings.Split(strings.TrimSpace(n.logs()), "\n")
		c.t.Logf("%s, the last of %d lines:\n%s", n.name, len(lines), strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
	c.t.Logf("events:\n%s", c.log.tail(60))
}
