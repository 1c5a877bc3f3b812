package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/testwait"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// Two hosts on a real network: this test starts itself twice, each time in a
// network namespace of its own, joined by a pair of veth. The namespaces end
// with their processes.

const (
	roleEnv = "ARC_DISCOVERY_TEST_HOST"
	peerEnv = "ARC_DISCOVERY_TEST_PEER"
)

func TestHostsOnANetworkFindOneAnother(t *testing.T) {
	if role := os.Getenv(roleEnv); role != "" {
		playHost(t, role)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the program ip (Debian's iproute2)")
	}
	two := startHost(t, "2", 0)
	one := startHost(t, "1", two.Process.Pid)
	var failed bool
	for name, host := range map[string]*hostProcess{"1": one, "2": two} {
		if err := host.Wait(); err != nil {
			failed = true
			t.Errorf("host %s: %v", name, err)
		}
	}
	if failed || testing.Verbose() {
		t.Logf("host 1:\n%s\nhost 2:\n%s", one.output, two.output)
	}
}

type hostProcess struct {
	*exec.Cmd
	output *strings.Builder
}

func startHost(t *testing.T, role string, peer int) *hostProcess {
	h := &hostProcess{exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v=true", "-test.timeout=60s"), &strings.Builder{}}
	h.Env = append(os.Environ(), roleEnv+"="+role, peerEnv+"="+strconv.Itoa(peer))
	h.Stdout, h.Stderr = h.output, h.output
	h.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := h.Start(); errors.Is(err, unix.EPERM) {
		t.Skip("this machine or container forbids root to make network namespaces")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h.ProcessState == nil {
			h.Process.Kill()
			h.Wait()
		}
	})
	return h
}

// playHost runs in a namespace: host 1 leads, host 2 looks for the ring, by
// each kind of address in turn.
func playHost(t *testing.T, role string) {
	ip(t, "link set lo up")
	// An address is of no use until duplicate detection has ended: 1 s.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	if role == "1" {
		ip(t, "link add arc1 type veth peer name arc2 netns "+os.Getenv(peerEnv))
	}
	link := "arc" + role
	testwait.Until(t, within, link+" is there", func() bool { _, err := net.InterfaceByName(link); return err == nil })
	ip(t, "address add 10.77.0."+role+"/24 dev "+link)
	ip(t, "address add fd77::"+role+"/64 dev "+link+" nodad")
	ip(t, "link set "+link+" up")
	testwait.Until(t, within, link+" has a carrier", func() bool { return carrier(link) })

	for i, bind := range []string{"", "10.77.0." + role, "fd77::" + role} {
		playTurn(t, role, bind, 7400+i)
	}
	playFounding(t, role, 7500)
	if role == "1" {
		playLoopback(t)
	}
}

// playFounding lets both hosts, two coordinators each, found one ring; they ask
// one another by a line of JSON over TCP.
func playFounding(t *testing.T, role string, port int) {
	var services []*Service
	for i := range 2 {
		address := net.JoinHostPort("10.77.0."+role, strconv.Itoa(port+1+i))
		s, end := runHere(t, fmt.Sprintf("n%s-%d", role, i), "10.77.0."+role, port, address, 4)
		defer end()
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				var req peerv1.AcceptFounderRequest
				if json.NewDecoder(c).Decode(&req) == nil {
					accepted, reason, err := s.Accept(&req)
					if err != nil {
						t.Error(err)
					}
					json.NewEncoder(c).Encode(&peerv1.AcceptFounderResponse{Accepted: accepted, Reason: reason})
				}
				c.Close()
			}
		}()
		defer func() { listener.Close(); <-served }()
		services = append(services, s)
	}
	began := time.Now()
	h := &house{t: t}
	for i, f := range h.found(services) {
		if want := role == "1" && i == 0; f.Founder != want || !want && (f.RingID != "r1" || f.LeaderName != "n1-0") {
			t.Errorf("%s found %+v", services[i].opts.Name, f)
		}
	}
	t.Logf("host %s knows the ring after %s", role, time.Since(began).Round(time.Millisecond))
	meet(t, role, port+10)
}

func askOverTCP(ctx context.Context, address string, req *peerv1.AcceptFounderRequest) (bool, string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, "", err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		c.SetDeadline(end)
	}
	var answer peerv1.AcceptFounderResponse
	if err := errors.Join(json.NewEncoder(c).Encode(req), json.NewDecoder(c).Decode(&answer)); err != nil {
		return false, "", err
	}
	return answer.Accepted, answer.Reason, nil
}

func runHere(t *testing.T, name, bind string, port int, address string, expect int) (*Service, func()) {
	o := Options{Cluster: "c", Name: name, Incarnation: 1, Addresses: []string{address}, Port: port, Expect: expect, Ask: askOverTCP, Logger: testLogger(t, name)}
	if bind != "" {
		o.Bind = []netip.Addr{netip.MustParseAddr(bind)}
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }()
	return s, func() { s.Close(); <-ended }
}

// playTurn: host 1 has a leader and a member, host 2 looks twice.
func playTurn(t *testing.T, role, bind string, port int) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if role == "1" {
		s, end := runHere(t, "leader", bind, port, "10.77.0.1:7400", 0)
		s.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
		m, endMember := runHere(t, "member", bind, port, "10.77.0.1:7401", 0)
		m.SetRing(&discoveryv1.Ring{RingId: "r1", Leader: "leader", LeaderAddresses: []string{"10.77.0.1:7400"}})
		if f, err := m.Seek(ctx); err != nil || f.From != "leader" {
			t.Errorf("bind %q: a member on the leader's host found %+v, %v, want the leader", bind, f, err)
		}
		meet(t, role, port+100)
		endMember()
		end()
		return
	}
	s, end := runHere(t, "joiner", bind, port, "10.77.0.2:7400", 0)
	defer end()
	for range 2 {
		began := time.Now()
		f, err := s.Seek(ctx)
		if err != nil || f.LeaderName != "leader" || !slices.Equal(f.LeaderAddresses, []string{"10.77.0.1:7400"}) {
			t.Errorf("bind %q: found %+v, %v, want the leader of host 1", bind, f, err)
		}
		t.Logf("bind %q: found after %s", bind, time.Since(began))
	}
	for _, h := range s.Heard() {
		if bind != "" && h.Source.Is6() != strings.Contains(bind, ":") {
			t.Errorf("bind %q: heard %s from %s, want an address of the same family", bind, h.Node.Name, h.Source)
		}
	}
	meet(t, role, port+100)
}

// meet waits until both hosts have come here.
func meet(t *testing.T, role string, port int) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	address := net.JoinHostPort("10.77.0.1", strconv.Itoa(port))
	if role == "1" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.(*net.TCPListener).SetDeadline(time.Now().Add(within))
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		return
	}
	testwait.Until(t, within, address+" listens", func() bool {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// playLoopback: a node bound to loopback finds its like there, and nothing
// leaves by another network card, which has no other traffic; a node bound to
// everything does use that card.
func playLoopback(t *testing.T) {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		t.Fatal(err) // The kernel would say hello itself.
	}
	ip(t, "link add quiet type veth peer name end")
	ip(t, "address add 10.88.0.1/24 dev quiet")
	ip(t, "link set quiet up")
	ip(t, "link set end up")
	testwait.Until(t, within, "quiet has a carrier", func() bool { return carrier("quiet") })
	sent := func() int {
		table, err := os.ReadFile("/proc/net/dev")
		if err != nil {
			t.Fatal(err)
		}
		_, counters, _ := strings.Cut(string(table), "quiet:")
		const packetsSent = 9 // after the eight of what was received, and the bytes
		n, err := strconv.Atoi(strings.Fields(counters)[packetsSent])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := sent()
	h := newHouse(t)
	h.start("a", nil).SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
	if f := h.seek(h.start("b", nil)); f.From != "a" {
		t.Errorf("found %+v, want a", f)
	}
	if n := sent() - before; n != 0 {
		t.Errorf("%d packets left by the network card", n)
	}
	h.start("c", func(o *Options) { o.Bind = nil }).SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
	if sent() == before {
		t.Error("no packet of a node that is bound to everything left by the network card")
	}
}

func carrier(name string) bool {
	link, err := net.InterfaceByName(name)
	return err == nil && link.Flags&net.FlagRunning != 0
}

// ip runs the program of that name in this process's namespace.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}
