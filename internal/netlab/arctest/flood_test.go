package arctest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/ring"
)

const (
	// localAnswer is within how long a local command is answered while a flood lasts.
	localAnswer = 100 * time.Millisecond
	// floodEvents is how often something happens in the ring while watches flood it.
	floodEvents = 50 * time.Millisecond
)

// A stranger on the network floods the leader. The ring stays as it is, the leader's
// memory stays within its limit, and commands of its own machine are answered.
func TestTheLeaderStandsFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: floods a leader")
	}
	for _, profile := range []string{"lan", "fast"} {
		t.Run(profile, func(t *testing.T) {
			s, err := ring.ProfileSettings(profile)
			if err != nil {
				t.Fatal(err)
			}
			c := newCluster(t, netlab.Options{Hosts: 4}, "--expect", "3", "--profile", profile, "--log-level", "info")
			for _, n := range c.nodes[:3] {
				n.urgent = true
				n.start()
			}
			from := []netip.Addr{c.nodes[3].host.Addr(0)}
			for i := range byte(5) { // one machine with many addresses, as a stranger may have
				from = append(from, netip.AddrFrom4([4]byte{10, 77, 0, 200 + i}))
				c.nodes[3].host.AddAddress(0, from[i+1])
			}
			for _, what := range slices.Sorted(maps.Keys(floods)) {
				t.Run(what, func(t *testing.T) { c.standsFlood(t, what, from, s.Lease()) })
			}
		})
	}
}

// standsFlood floods the leader from the host without a coordinator. A try at which
// the machine stood still says nothing of the ring.
func (c *cluster) standsFlood(t *testing.T, what string, from []netip.Addr, lease time.Duration) {
	for range 3 {
		st := c.settle(patience)
		leader, other := c.node(st.Leader.Name), c.nodes[0]
		if other == leader {
			other = c.nodes[1]
		}
		o := order{
			Kind: what, At: netip.AddrPortFrom(leader.host.Addr(0), 7400), For: *floodFor, Pause: 100 * time.Millisecond,
			From: from, Certificate: c.readersCertificate(t), RingID: st.RingId, Leader: leader.name, Member: other.name,
		}
		began := time.Now()
		seen := leader.underFlood(t, c.nodes[3].host, o)
		changes := c.log.Heard(began, kind("evicted", "leader_declared", "leader_lost", "claim_lost"))
		if len(changes) > 0 && seen.stood > lease/4 {
			t.Logf("this says nothing, since the machine stood still for %v: %v", seen.stood, changes)
			continue
		}
		for _, ev := range changes {
			t.Errorf("%v after the begin: %s", ev.At.Sub(began).Round(time.Millisecond), ev)
		}
		seen.judge(t)
		return
	}
	t.Skip("this machine stood still at each try")
}

// readersCertificate makes a client's certificate with the least role, as a guest of the
// cluster may have.
func (c *cluster) readersCertificate(t *testing.T) string {
	if *inClear {
		return ""
	}
	secrets, err := trust.ReadSecrets(c.secret)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := trust.Issue(secrets, trust.Identity{Cluster: "arc", Role: trust.Read, Name: "guest"}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "guest.pem")
	if err := os.WriteFile(path, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// underFlood is what was seen of a leader while it was flooded.
type underFlood struct {
	// calls are how long status calls took at the local socket, each on a connection of
	// its own. commands are how long `arc status` took, its own start included, and
	// elsewhere the same at another member.
	calls, commands, elsewhere []time.Duration
	failed                     []string
	// before and most are the leader's own memory; used is its processor time.
	before, most int64
	used         time.Duration
	// stood is for how long a process as urgent as the leader was not woken.
	stood time.Duration
}

// underFlood has a flooder on the host carry the order out, and meanwhile looks at the
// leader.
func (n *node) underFlood(t *testing.T, from *netlab.Host, o order) *underFlood {
	seen := &underFlood{before: n.ownMemory(t)}
	cpu := n.processorTime()
	ctx, cancel := context.WithCancel(context.Background())
	var events sync.WaitGroup
	if o.Kind == "watches" {
		events.Go(func() { n.makeEvents(ctx) })
	}
	flooding := send(t, from, o)
	looking := send(t, n.host, order{Kind: lookout, For: o.For}, urgent...)
	status := func(at *node) time.Duration {
		asked := time.Now()
		if _, err := at.host.Run(patience, urgent[0], slices.Concat(urgent[1:], []string{*arcBinary, "status"})...); err != nil {
			seen.failed = append(seen.failed, err.Error())
		}
		return time.Since(asked)
	}
	for flooding.Running() {
		seen.commands = append(seen.commands, status(n))
		seen.elsewhere = append(seen.elsewhere, status(n.c.node(o.Member)))
		seen.most = max(seen.most, n.ownMemory(t))
		connect.Wait(ctx, 50*time.Millisecond)
	}
	seen.used = n.processorTime() - cpu
	cancel()
	events.Wait()
	looked, did := looking.result(), flooding.result()
	t.Logf("%s: %s", o.Kind, did)
	// The coordinator decides how many begin; those that it resets at once count too.
	if did.Sent < int64(o.For.Seconds()*hellosPerSecond) && did.Begun+did.Failed < halfOpen {
		t.Error("that is no flood")
	}
	seen.calls, seen.stood = looked.Calls, looked.Stood
	if looked.Failed > 0 {
		seen.failed = append(seen.failed, looked.LastFailure)
	}
	return seen
}

// sent is a process that carries out an order.
type sent struct {
	*netlab.Process
	t                *testing.T
	said, complained bytes.Buffer
}

// send starts one on the host, by the command before it if there is any.
func send(t *testing.T, to *netlab.Host, o order, before ...string) *sent {
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &sent{t: t}
	command := slices.Concat(before, []string{self, "-flooder", string(text)})
	s.Process = to.StartCommand(netlab.Command{Path: command[0], Args: command[1:], Stdout: &s.said, Stderr: &s.complained})
	return s
}

// result waits for what the process did.
func (s *sent) result() (did done) {
	s.Wait(patience)
	if err := json.Unmarshal(s.said.Bytes(), &did); err != nil {
		s.t.Fatalf("it ended with %q and %q: %v", s.said.String(), s.complained.String(), err)
	}
	return did
}

// makeEvents changes a setting again and again: each change is an event.
func (n *node) makeEvents(ctx context.Context) {
	for i := 0; connect.Wait(ctx, floodEvents); i++ {
		_, _ = n.api.SetSettings(ctx, map[string]string{"forget_after_s": strconv.Itoa(1000 + i%2)}) // the next one may succeed
	}
}

// ownMemory is the memory of the coordinator's process that is resident and no file's.
func (n *node) ownMemory(t *testing.T) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.proc.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "RssAnon:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		t.Fatalf("no RssAnon in %q", status)
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// processorTime is what the coordinator's process has used.
func (n *node) processorTime() time.Duration {
	for _, p := range n.host.Find("coordinator") {
		return p.CPU
	}
	return 0
}

func (u *underFlood) judge(t *testing.T) {
	t.Logf("calls: %s; arc status: %s, at another member: %s; memory from %d to %d MiB; %v of a processor; the machine stood still for %v",
		quantiles(u.calls), quantiles(u.commands), quantiles(u.elsewhere), u.before>>20, u.most>>20, u.used, u.stood.Round(time.Millisecond))
	for _, why := range u.failed {
		t.Errorf("a local command: %s", why)
	}
	if late := quantile(u.calls, 0.9); late > localAnswer {
		t.Errorf("one in ten of %d status calls at the local socket took longer than %v", len(u.calls), late)
	}
	if late, elsewhere := quantile(u.commands, 0.5), quantile(u.elsewhere, 0.5); late > localAnswer+elsewhere {
		t.Errorf("half of %d times arc status took longer than %v, and %v at another member", len(u.commands), late, elsewhere)
	}
	if u.most > limits.Memory {
		t.Errorf("the leader's memory grew from %d to %d MiB, at most %d are its limit", u.before>>20, u.most>>20, limits.Memory>>20)
	}
}

func quantiles(list []time.Duration) string {
	return fmt.Sprintf("%d, p50 %.1f, p99 %.1f, max %.1f ms", len(list), ms(quantile(list, 0.5)), ms(quantile(list, 0.99)), ms(quantile(list, 1)))
}

func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[int(q*float64(len(sorted)-1))]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
