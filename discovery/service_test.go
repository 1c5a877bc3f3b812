package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/trust"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within bounds every wait of these tests; none of them comes near it unless
// something is broken.
const within = 20 * time.Second

var loopback = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

// freePort returns a UDP port that nobody has at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// house is a set of services that share one UDP port, and the TCP addresses at
// which they ask one another, played by a map.
type house struct {
	t    testing.TB
	port int

	mu       sync.Mutex
	services map[string]*Service
	tcp      int
}

func newHouse(t testing.TB) *house {
	return &house{t: t, port: freePort(t), services: map[string]*Service{}, tcp: 20000}
}

var errNobody = errors.New("connection refused")

func (h *house) ask(_ context.Context, address string, req *peerv1.AcceptFounderRequest) (bool, string, error) {
	h.mu.Lock()
	s := h.services[address]
	h.mu.Unlock()
	if s == nil {
		return false, "", errNobody
	}
	return s.Accept(req)
}

// start runs a service until the test ends.
func (h *house) start(name string, change func(*Options)) *Service {
	h.t.Helper()
	h.mu.Lock()
	h.tcp++
	address := fmt.Sprintf("127.0.0.1:%d", h.tcp)
	h.mu.Unlock()
	o := Options{
		Cluster: "c", Name: name, Incarnation: rand.Uint64() | 1, Addresses: []string{address},
		Bind: loopback, Port: h.port, Ask: h.ask, Logger: testLogger(h.t, name),
		OnForeignRing: func(*arcv1.OtherRing) {}, OnFellow: func(*discoveryv1.Node) {},
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	h.services[o.Addresses[0]] = s
	h.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }()
	h.t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil && !errors.Is(err, ErrClosed) {
			h.t.Errorf("Run: %v", err)
		}
	})
	return s
}

// testLogger shows what a service says with -v.
func testLogger(t testing.TB, name string) hclog.Logger {
	if !testing.Verbose() {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: hclog.Debug, Output: t.Output(), DisableTime: true})
}

func (h *house) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	h.t.Cleanup(cancel)
	return ctx
}

func (h *house) seek(s *Service) Found {
	h.t.Helper()
	f, err := s.Seek(h.context())
	if err != nil {
		h.t.Fatalf("seek: %v", err)
	}
	return f
}

// found lets all seek at once, the founder found, and returns what each found.
func (h *house) found(services []*Service) []Found {
	h.t.Helper()
	all := make([]Found, len(services))
	errs := make([]error, len(services))
	ctx := h.context()
	var wait sync.WaitGroup
	for i, s := range services {
		wait.Go(func() {
			all[i], errs[i] = s.Seek(ctx)
			if all[i].Founder {
				s.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		h.t.Fatal(err)
	}
	return all
}

func TestNodesStartedAtOnceFoundOneRing(t *testing.T) {
	for _, n := range []int{1, 2, 5, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t)
			var services []*Service
			var names []string
			for i := range n {
				names = append(names, fmt.Sprintf("n%02d", i))
			}
			began := time.Now()
			for _, i := range rand.Perm(n) {
				services = append(services, h.start(names[i], func(o *Options) { o.Expect = n }))
			}
			founders := 0
			for i, f := range h.found(services) {
				switch {
				case f.Founder:
					founders++
					if services[i].opts.Name != "n00" || !slices.Equal(f.Names, names) || len(f.Others) != n-1 {
						t.Errorf("%s founds with %v and %d others, want n00 with all", services[i].opts.Name, f.Names, len(f.Others))
					}
				case f.RingID != "r1" || f.LeaderName != "n00" || len(f.LeaderAddresses) != 1:
					t.Errorf("%s found %+v, want r1 led by n00", services[i].opts.Name, f)
				}
			}
			if founders != 1 {
				t.Errorf("%d founders, want 1", founders)
			}
			t.Logf("%d nodes: all know the ring after %s", n, time.Since(began).Round(time.Millisecond))
		})
	}
}

// The lowest name is a witness's: the next one founds, with it.
func TestAWitnessDoesNotFound(t *testing.T) {
	h := newHouse(t)
	var services []*Service
	for _, name := range []string{"n1", "n2", "n3"} {
		services = append(services, h.start(name, func(o *Options) { o.Expect, o.Witness = 3, name == "n1" }))
	}
	for i, f := range h.found(services) {
		switch name := services[i].opts.Name; {
		case f.Founder != (name == "n2"):
			t.Errorf("%s found %+v, want n2 alone to found", name, f)
		case f.Founder && !slices.Equal(f.Names, []string{"n2", "n1", "n3"}):
			t.Errorf("it founds with %v, want all three", f.Names)
		}
	}
}

// The first address that b advertises leads to c, which would refuse: b is
// asked at its second one.
func TestAnAddressThatLeadsToAnotherNode(t *testing.T) {
	h := newHouse(t)
	wrong := h.start("c", nil)
	b := h.start("b", func(o *Options) {
		o.Expect, o.Addresses = 2, append([]string{wrong.opts.Addresses[0]}, o.Addresses...)
	})
	h.mu.Lock()
	h.services[b.opts.Addresses[0]], h.services[b.opts.Addresses[1]] = wrong, b
	h.mu.Unlock()
	a := h.start("a", func(o *Options) { o.Expect = 2 })
	if all := h.found([]*Service{a, b}); !all[0].Founder || all[1].LeaderName != "a" {
		t.Errorf("found %+v, want a to found and b in its ring", all)
	}
}

func TestJoinerFindsTheLeader(t *testing.T) {
	h := newHouse(t)
	leader := h.start("a", nil)
	leader.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
	member := h.start("b", nil)
	member.SetRing(&discoveryv1.Ring{RingId: "r1", Leader: "a", LeaderAddresses: leader.opts.Addresses})
	joiner := h.start("c", nil)
	best := within
	for range 20 {
		began := time.Now()
		f := h.seek(joiner)
		best = min(best, time.Since(began))
		if f.RingID != "r1" || f.LeaderName != "a" || !slices.Equal(f.LeaderAddresses, leader.opts.Addresses) || f.From != "a" {
			t.Fatalf("found %+v, want r1, told by its leader a", f)
		}
	}
	t.Logf("found in %s at best", best)
}

func TestMemberTellsOfTheLeaderThatDoesNotAnswer(t *testing.T) {
	h := newHouse(t)
	h.start("b", nil).SetRing(&discoveryv1.Ring{RingId: "r1", Leader: "a", LeaderAddresses: []string{"127.0.0.1:9"}})
	f := h.seek(h.start("c", nil))
	if f.From != "b" || f.LeaderName != "a" || !slices.Equal(f.LeaderAddresses, []string{"127.0.0.1:9"}) {
		t.Fatalf("found %+v, want leader a at 127.0.0.1:9, told by b", f)
	}
}

func TestRingWithoutALeaderIsFoundByItsMember(t *testing.T) {
	h := newHouse(t)
	h.start("b", nil).SetRing(&discoveryv1.Ring{RingId: "r1"})
	f := h.seek(h.start("c", nil))
	if f.RingID != "r1" || f.From != "b" || f.LeaderName != "" || len(f.FromAddresses) != 1 {
		t.Fatalf("found %+v, want r1 by its member b, no leader", f)
	}
}

func TestNameInUseIsAnErrorWithBothAddresses(t *testing.T) {
	h := newHouse(t)
	first := h.start("a", nil)
	first.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
	second := h.start("a", nil)
	_, err := second.Seek(h.context())
	if err == nil {
		t.Fatal("found a ring in spite of a name conflict")
	}
	theirs, mine := "a running coordinator at "+first.opts.Addresses[0], "so does this one at "+second.opts.Addresses[0]
	if !strings.Contains(err.Error(), theirs) || !strings.Contains(err.Error(), mine) {
		t.Errorf("seek: %v, want %q and %q", err, theirs, mine)
	}
}

func TestAnotherRingOfTheClusterIsReported(t *testing.T) {
	h := newHouse(t)
	heard := make(chan *arcv1.OtherRing, 16)
	a := h.start("a", func(o *Options) { o.OnForeignRing = func(r *arcv1.OtherRing) { heard <- r } })
	a.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
	h.start("b", nil).SetRing(&discoveryv1.Ring{RingId: "r2", Leads: true}) // A founder announces itself.
	select {
	case r := <-heard:
		if r.RingId != "r2" || r.From != "b" || r.Leader != "b" {
			t.Errorf("reported %v, want r2 of b", r)
		}
	case <-time.After(within):
		t.Fatal("the other ring was not reported")
	}
}

func TestOtherClustersAndOddBytesAreNotHeard(t *testing.T) {
	h := newHouse(t)
	other := h.start("x", func(o *Options) { o.Cluster = "other" })
	other.SetRing(&discoveryv1.Ring{RingId: "r9", Leads: true})
	c, err := net.Dial("udp4", fmt.Sprintf("127.255.255.255:%d", h.port))
	if err == nil {
		for _, b := range []string{"", "ARC1", "ARC1\xff\xff", "hello", string(make([]byte, 3000))} {
			c.Write([]byte(b))
		}
		c.Close()
	}
	a := h.start("a", nil)
	a.SetRing(&discoveryv1.Ring{RingId: "r1", Leads: true})
	j := h.start("c", nil)
	if f := h.seek(j); f.RingID != "r1" {
		t.Errorf("found %+v, want r1", f)
	}
	if members := j.Members(); len(members) != 1 || !slices.Equal(members[0], a.opts.Addresses) {
		t.Errorf("heard members at %v, want a alone", members)
	}
}

func TestSeekEndsWithItsContextAndWithTheService(t *testing.T) {
	h := newHouse(t)
	s := h.start("a", nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Seek(ctx)
		ended <- err
	}()
	testwait.Until(t, within, "somebody waits for an answer", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.waiter != nil })
	if _, err := s.Seek(ctx); !errors.Is(err, ErrSeeking) {
		t.Errorf("second Seek: %v, want ErrSeeking", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Seek: %v, want canceled", err)
	}
	go func() {
		_, err := s.Seek(context.Background())
		ended <- err
	}()
	testwait.Until(t, within, "somebody waits for an answer", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.waiter != nil })
	s.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("Seek: %v, want ErrClosed", err)
	}
	if _, err := s.Seek(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Seek after Close: %v, want ErrClosed", err)
	}
}

func sealed(cluster string, secrets ...byte) func(*Options) {
	all := sealsOf(cluster, secrets...)
	return func(o *Options) { o.Seals = func() trust.Seals { return all } }
}

// Three nodes found a ring under a seal, in the midst of a change of the secret. Those
// without it are neither heard nor answered, and both sides hear why.
func TestSealedHellos(t *testing.T) {
	h := newHouse(t)
	var services []*Service
	for name, secrets := range map[string][]byte{"a": {1, 2}, "b": {2, 1}, "d": {1, 2}} {
		services = append(services, h.start(name, func(o *Options) { o.Expect = 3; sealed("c", secrets...)(o) }))
	}
	for i, f := range h.found(services) {
		if name := services[i].opts.Name; f.Founder != (name == "a") || !f.Founder && f.LeaderName != "a" {
			t.Errorf("%s found %+v, want a to found", name, f)
		}
	}
	member := services[0]
	for what, c := range map[string]struct {
		change    func(*Options)
		hear, say string
	}{
		"no secret":      {func(*Options) {}, "it has a seal", "it has no seal"},
		"another secret": {sealed("c", 9), "it has another seal", "it has another seal"},
	} {
		stranger := h.start("x", c.change)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			_, err := stranger.Seek(ctx)
			ended <- err
		}()
		testwait.Until(t, within, what+": the stranger knows why it hears nothing", func() bool {
			member.Announce()
			return strings.Contains(stranger.Standstill(), "a hello from 127.0.0.1 was not read: "+c.hear)
		})
		testwait.Until(t, within, what+": the member knows why it does not listen", func() bool {
			member.mu.Lock()
			defer member.mu.Unlock()
			return slices.ContainsFunc(member.core.unread(time.Now()), func(said string) bool { return strings.Contains(said, c.say) })
		})
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || len(stranger.Members()) > 0 {
			t.Errorf("%s: seek ended with %v and members %v", what, err, stranger.Members())
		}
		stranger.Close()
	}
}

// deaf returns options that do nothing with what is heard.
func deaf(o Options) Options {
	o.OnForeignRing, o.OnFellow = func(*arcv1.OtherRing) {}, func(*discoveryv1.Node) {}
	return o
}

func TestBadOptionsAreNamed(t *testing.T) {
	good := deaf(Options{Cluster: "c", Name: "a", Incarnation: 1, Addresses: []string{"127.0.0.1:1"}, Bind: loopback, Port: freePort(t)})
	if err := good.validate(); err != nil {
		t.Errorf("good options: %v", err)
	}
	for _, c := range []struct {
		name   string
		change func(*Options)
	}{
		{"no secret to seal with", func(o *Options) { o.Seals = func() trust.Seals { return trust.Seals{} } }},
		{"no cluster", func(o *Options) { o.Cluster = "" }},
		{"name with a space", func(o *Options) { o.Name = "a b" }},
		{"no incarnation", func(o *Options) { o.Incarnation = 0 }},
		{"address without port", func(o *Options) { o.Addresses = []string{"127.0.0.1"} }},
		{"port", func(o *Options) { o.Port = 70000 }},
		{"expect without ask", func(o *Options) { o.Expect = 2 }},
		{"nobody to tell of other rings", func(o *Options) { o.OnForeignRing = nil }},
		{"nobody to tell of fellows", func(o *Options) { o.OnFellow = nil }},
		{"expect too many", func(o *Options) { o.Expect = 1000 }},
		{"interface", func(o *Options) { o.Interfaces = []string{"nosuch0"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.change(&o)
			s, err := New(o)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, ErrOptions) {
				t.Errorf("New: %v, want ErrOptions", err)
			}
		})
	}
}

// What does not share the port keeps the service from starting.
func TestTakenPortIsAClearError(t *testing.T) {
	c, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := deaf(Options{Cluster: "c", Name: "a", Incarnation: 1, Addresses: []string{"127.0.0.1:1"}, Bind: loopback, Port: c.LocalAddr().(*net.UDPAddr).Port})
	s, err := New(o)
	if err == nil {
		s.Close()
		t.Fatal("New took a port that another program has")
	}
	t.Log(err)
}
