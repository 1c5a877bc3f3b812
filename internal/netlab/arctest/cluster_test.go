package arctest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/trust"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// pollEvery is how often one of five nodes is asked whether it claims; more
	// nodes are asked less often, so that the asking stays cheap.
	pollEvery = 20 * time.Millisecond
	// patience is how long something may take that takes far less on a quiet
	// machine; no figure is measured by it.
	patience = 20 * time.Second
	// lease is that of the lan profile, which all tests use unless they say so.
	lease = 500 * time.Millisecond
)

// calm is for tests of what must not happen: a machine that stops for half a
// second is no fault of ARC's.
var calm = []string{"--profile", "wan"}

// urgent starts a program that goes before all others, as if it had a machine of its
// own.
var urgent = []string{"chrt", "--rr", "1"}

// cluster is a ring of real coordinators, one per host.
type cluster struct {
	t     testing.TB
	lab   *netlab.Lab
	nodes []*node
	log   *record
	// secret is the file with the secret of all nodes.
	secret string
	// clear: they go without it, as all do with -insecure.
	clear bool
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
	// urgent: its processes go before all others of this machine.
	urgent bool
	proc   *netlab.Process
	old    []*netlab.Process
	api    *client.Client
	eyes   func() // ends the recording
	// foreign: it belongs to another cluster, and is not recorded.
	foreign bool
	// cutOff is set while the test does not expect the node in the ring.
	cutOff bool
}

// newCluster makes the lab and starts nothing. Every node is told the args.
func newCluster(t testing.TB, o netlab.Options, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, lab: netlab.New(t, o), log: newRecord(), clear: *inClear, secret: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(c.secret, []byte(trust.NewSecret().Hex()), 0o600); err != nil {
		t.Fatal(err)
	}
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
			t.Logf("judged %s", c.log)
			for _, v := range c.log.Violations() {
				t.Error(v)
			}
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
	var leader *arcv1.StatusResponse
	testwait.UntilNil(c.t, limit, fmt.Sprintf("the ring of %s is whole", names(c.up())), func() (err error) {
		leader, err = c.settled()
		return err
	})
	return leader
}

// settled looks once.
func (c *cluster) settled() (leader *arcv1.StatusResponse, err error) {
	var answers []*arcv1.StatusResponse
	for _, n := range c.up() {
		st, err := n.status(time.Second)
		if err != nil {
			return nil, err
		}
		answers = append(answers, st)
	}
	return observe.Whole(answers)
}

func names(nodes []*node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.name)
	}
	return list
}

// start starts the node's coordinator.
func (n *node) start(more ...string) {
	n.c.t.Helper()
	args := []string{"coordinator", "--data-dir", filepath.Join(n.host.Dir(), "data"), "--log-level", "debug"}
	if n.c.clear {
		args = append(args, "--insecure")
	} else {
		args = append(args, "--secret-file", n.c.secret)
	}
	args = append(append(args, n.args...), more...)
	if n.proc != nil {
		n.old = append(n.old, n.proc)
	}
	n.closeEyes()
	if n.urgent {
		n.proc = n.host.Start(urgent[0], slices.Concat(urgent[1:], []string{*arcBinary}, args)...)
	} else {
		n.proc = n.host.Start(*arcBinary, args...)
	}
	n.openEyes()
}

// openEyes begins to record what the node says.
func (n *node) openEyes() {
	n.c.t.Helper()
	var err error
	n.api, err = client.New(n.addr())
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
	ctx, cancel := context.WithCancel(context.Background())
	var eyes sync.WaitGroup
	eyes.Go(func() { n.c.log.follow(ctx, n.name, n.addr()) })
	eyes.Go(func() { n.c.log.poll(ctx, n.name, n.api, every) })
	n.eyes = func() { cancel(); eyes.Wait() }
}

// addr is the coordinator's socket, seen from here.
func (n *node) addr() string { return "unix://" + n.host.Outside("/run/arc/"+client.SocketName) }

func (n *node) closeEyes() {
	if n.eyes != nil {
		n.eyes()
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

// kind fits events of these types.
func kind(types ...string) func(observe.Event) bool {
	return func(ev observe.Event) bool { return slices.Contains(types, ev.Type()) }
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
	events := c.log.Since(0)
	var said strings.Builder
	for _, ev := range events[max(0, len(events)-60):] {
		fmt.Fprintf(&said, "%9.3f s  %s\n", ev.At.Sub(c.log.began).Seconds(), ev)
	}
	c.t.Logf("events:\n%s", &said)
}
