package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

func TestHellosOfASearch(t *testing.T) {
	b := newBench(t, "a", 0)
	began := b.now
	hellos := of[sendHello](b.startSeek(b.now))
	var at []time.Duration
	for range 3000 {
		for range of[sendHello](b.after(time.Millisecond)) {
			at = append(at, b.now.Sub(began))
		}
	}
	if len(hellos) != 1 || hellos[0].hello.Attempt != 1 {
		t.Fatalf("first hellos %v, want attempt 1 at once", hellos)
	}
	want := durations.FirstHellos[1:]
	for i, d := range want {
		if at[i] < d*4/5-time.Millisecond || at[i] > d*6/5+time.Millisecond {
			t.Errorf("hello %d after %s, want about %s", i+2, at[i], d)
		}
	}
	if n := len(at); n < 6 || n > 8 {
		t.Errorf("%d hellos in 3 s at %v, want about one a second after the first", n, at)
	}
}

func TestWhoAnswersAHello(t *testing.T) {
	leads := &discoveryv1.Ring{RingId: "r1", Leads: true}
	member := &discoveryv1.Ring{RingId: "r1", Leader: "l", LeaderAddresses: []string{"l:1"}}
	for _, c := range []struct {
		name   string
		expect int
		ring   *discoveryv1.Ring
		hello  []change
		want   bool
	}{
		{"leader, first hello", 0, leads, nil, true},
		{"leader, quiet hello", 0, leads, []change{attempt(0)}, false},
		{"member, first hello", 0, member, nil, false},
		{"member, second hello", 0, member, []change{attempt(2)}, true},
		{"joiner", 0, &discoveryv1.Ring{}, []change{attempt(2)}, false},
		{"founding, first hello", 3, &discoveryv1.Ring{}, nil, false},
		{"founding, second hello", 3, &discoveryv1.Ring{}, []change{attempt(2)}, true},
		{"founding, to a joiner", 3, &discoveryv1.Ring{}, []change{attempt(2), expects(0)}, false},
		{"who waits for us", 3, &discoveryv1.Ring{}, []change{hasAccepted("a", selfIncarnation)}, true},
		{"who waits for an earlier start of us", 3, &discoveryv1.Ring{}, []change{hasAccepted("a", 5)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "a", c.expect)
			b.setRing(b.now, c.ring)
			answers := of[sendAnswer](b.hears("j", c.hello...))
			if (len(answers) == 1) != c.want {
				t.Fatalf("answers %v, want one: %v", answers, c.want)
			}
			if c.want && (answers[0].answer.Echo != 1 || answers[0].to != source("j")) {
				t.Errorf("answer %v to %v, want the hello's nonce to its source", answers[0].answer, answers[0].to)
			}
		})
	}
	t.Run("founding, to one long known", func(t *testing.T) {
		b := newBench(t, "a", 3)
		b.hears("j", attempt(2))
		b.after(durations.NameNew + time.Second)
		if answers := of[sendAnswer](b.hears("j", attempt(9))); len(answers) > 0 {
			t.Errorf("answers %v: every hello would be answered by all for ever", answers)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	b := newBench(t, "a", 0)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true})
	count := 0
	for range 1000 {
		count += len(of[sendAnswer](b.hears("j")))
	}
	if count != limits.SourceAnswers {
		t.Errorf("%d answers to one source at once, want %d", count, limits.SourceAnswers)
	}
	b.now = b.now.Add(time.Second)
	count = 0
	hears := func(i int) int { // from source number i
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 1)
		h := &discoveryv1.Hello{Cluster: "c", Node: peer("j", 1), Nonce: 1, Attempt: 1}
		return len(of[sendAnswer](b.hello(b.now, from, h)))
	}
	for i := range 5000 {
		count += hears(i)
	}
	if count != limits.AllAnswers {
		t.Errorf("%d answers to many sources at once, want %d", count, limits.AllAnswers)
	}
	// One host with many sources leaves answers to others.
	b.now = b.now.Add(time.Second)
	count = 0
	for port := range uint16(2 * limits.HostAnswers) {
		from := netip.AddrPortFrom(netip.MustParseAddr("10.9.9.9"), port+1)
		count += len(of[sendAnswer](b.hello(b.now, from, &discoveryv1.Hello{Cluster: "c", Node: peer("j", 1), Nonce: 1, Attempt: 1})))
	}
	if count != limits.HostAnswers {
		t.Errorf("%d answers to one host at once, want %d", count, limits.HostAnswers)
	}
	b.now = b.now.Add(time.Minute)
	for i := range limits.Sources {
		hears(i)
	}
	// So many sources are told apart, and no more until one is quiet.
	b.now = b.now.Add(time.Second / 2)
	if hears(limits.Sources-1) != 1 || hears(limits.Sources) != 0 {
		t.Errorf("not exactly the first %d sources get answers", limits.Sources)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := newBench(t, "a", 3)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "own"})
	warned := 0
	for i := range 3000 {
		for _, n := range of[note](b.hears(fmt.Sprintf("n%d", i), inRing(fmt.Sprintf("r%d", i)))) {
			if n.level == hclog.Warn {
				warned++
			}
		}
		b.heard.told(b.now, "a", []string{fmt.Sprintf("other%d", i)})
	}
	if n := len(b.heard.byName); n != limits.Nodes {
		t.Errorf("%d names, want %d", n, limits.Nodes)
	}
	if n := len(b.heard.others); n != limits.Nodes {
		t.Errorf("%d names of others, want %d", n, limits.Nodes)
	}
	for i := range limits.Nodes + 1 { // the same node, from ever new addresses
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 7400)
		b.core.hear(b.now, from, &discoveryv1.Hello{Node: peer("n1", 1)})
	}
	if n := len(b.heard.sources); n != limits.Nodes {
		t.Errorf("%d sources, want %d", n, limits.Nodes)
	}
	if n := len(b.rings); n != limits.Rings {
		t.Errorf("%d rings, want %d", n, limits.Rings)
	}
	if warned > limits.Rings+2 {
		t.Errorf("%d warnings", warned)
	}
	for range 100 {
		b.sayHello(b.now, 1)
	}
	if n := len(b.nonces); n > maxNonces {
		t.Errorf("%d nonces, want at most %d", n, maxNonces)
	}
	// When those are silent again, others are heard.
	b.now = b.now.Add(durations.NamePresent + time.Second)
	b.hears("late")
	if b.heard.byName["late"] == nil {
		t.Error("the table stays full of names that are gone")
	}
}

// Whom a hello that counts came from is known by its address for a while.
func TestANodeIsHeardFromAnAddress(t *testing.T) {
	b := newSealedBench(t, "a", 3)
	at, elsewhere := source("b").Addr(), netip.MustParseAddr("192.0.2.1")
	b.comes(b.stamped("b", 1))
	h := b.stamped("b", 2)
	h.Stamp.Source = sourceBytes(source("b"))
	b.hello(b.now, netip.AddrPortFrom(elsewhere, 7400), h) // somebody sends it again
	if !b.heard.from(b.now, at) || b.heard.from(b.now, elsewhere) {
		t.Errorf("heard from %v", b.heard.sources)
	}
	if b.heard.from(b.now.Add(durations.NamePresent+1), at) {
		t.Error("it counts as heard for longer than its name")
	}
}

func TestWhichRingASearchFinds(t *testing.T) {
	leader := func(id string) *discoveryv1.Ring { return &discoveryv1.Ring{RingId: id, Leads: true} }
	leaderless := func(id string) *discoveryv1.Ring { return &discoveryv1.Ring{RingId: id} }
	for _, c := range []struct {
		name string
		own  string
		play func(b *bench) []effect
		want string // From and ring; empty: goes on searching
	}{
		{"the leader's answer", "", func(b *bench) []effect { return b.answers("l", nil, leader("r1")) }, "l r1"},
		{"a member's answer with the leader", "", func(b *bench) []effect {
			return b.answers("m", nil, &discoveryv1.Ring{RingId: "r1", Leader: "l", LeaderAddresses: []string{"l:1"}})
		}, "m r1"},
		{"a member without a leader, after a wait", "", func(b *bench) []effect {
			return append(b.answers("m", nil, leaderless("r1")), b.after(durations.LeaderWait)...)
		}, "m r1"},
		{"not before the wait", "", func(b *bench) []effect {
			return append(b.answers("m", nil, leaderless("r1")), b.after(durations.LeaderWait/2)...)
		}, ""},
		{"the leader after a member", "", func(b *bench) []effect {
			return append(b.answers("m", nil, leaderless("r1")), b.answers("l", nil, leader("r1"))...)
		}, "l r1"},
		{"a hello is no answer", "", func(b *bench) []effect { return b.hears("m", inRing("r1")) }, ""},
		{"an answer to nothing", "", func(b *bench) []effect { return b.answersTo(42, "l", nil, leader("r1")) }, ""},
		{"an answer too late", "", func(b *bench) []effect {
			n := b.nonces[0].value
			b.now = b.now.Add(durations.HelloAnswer + 1)
			return b.answersTo(n, "l", nil, leader("r1"))
		}, ""},
		{"two rings: neither", "", func(b *bench) []effect {
			b.hears("m", inRing("r2"))
			return append(b.answers("l", nil, leader("r1")), b.after(2*time.Second)...)
		}, ""},
		{"two rings without leaders: neither", "", func(b *bench) []effect {
			b.answers("m", nil, leaderless("r1"))
			return append(b.hears("n", inRing("r2")), b.after(2*time.Second)...)
		}, ""},
		{"the second ring is gone", "", func(b *bench) []effect {
			b.hears("m", inRing("r2"))
			b.after(durations.RingPresent + time.Second)
			return b.answers("l", nil, leader("r1"))
		}, "l r1"},
		{"its own ring", "r1", func(b *bench) []effect {
			b.hears("m", inRing("r2"))
			return b.answers("l", nil, leader("r1"))
		}, "l r1"},
		{"not another ring than its own", "r1", func(b *bench) []effect { return b.answers("l", nil, leader("r2")) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "a", 3)
			b.setRing(b.now, &discoveryv1.Ring{RingId: c.own})
			b.startSeek(b.now)
			got := ""
			for _, f := range of[finish](c.play(b)) {
				got += f.found.From + " " + f.found.RingID
			}
			if got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestAMembersHelloMakesASearchAskAtOnce(t *testing.T) {
	b := newBench(t, "a", 0)
	b.startSeek(b.now)
	b.after(5 * time.Second)
	if hellos := of[sendHello](append(b.hears("m", inRing("r1")), b.after(durations.SeekLeast)...)); len(hellos) != 1 || hellos[0].hello.Attempt < 2 {
		t.Errorf("hellos %v, want one that members answer", hellos)
	}
}

func TestAForeignRingIsWarnedOfOnce(t *testing.T) {
	b := newBench(t, "a", 0)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1"})
	warned, reported := 0, 0
	for range 100 {
		out := append(b.hears("m", inRing("r2")), b.hears("n", inRing("r1"))...)
		for _, n := range of[note](out) {
			if n.level == hclog.Warn {
				warned++
				if text := fmt.Sprint(n.args...); !strings.Contains(text, "r1") || !strings.Contains(text, "r2") {
					t.Errorf("warning %q does not name both rings", text)
				}
			}
		}
		reported += len(of[report](out))
		b.after(time.Second)
	}
	if warned != 1 || reported < 9 || reported > 11 {
		t.Errorf("%d warnings and %d reports in 100 s, want 1 and about 10", warned, reported)
	}
}

func TestAMemberSaysHelloQuietly(t *testing.T) {
	b := newBench(t, "a", 3)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leader: "l"})
	hellos := of[sendHello](b.after(100 * time.Second))
	if len(hellos) < 8 || len(hellos) > 13 {
		t.Errorf("%d hellos in 100 s, want about 10", len(hellos))
	}
	for _, h := range hellos {
		if h.hello.Attempt != 0 || h.hello.Ring.GetRingId() != "r1" || h.hello.Founding != nil {
			t.Fatalf("hello %v, want a quiet one with the ring", h.hello)
		}
	}
}

func TestNameConflict(t *testing.T) {
	b := newBench(t, "a", 3)
	b.startSeek(b.now)
	n := b.nonces[0].value
	same := &discoveryv1.Answer{Cluster: "c", Node: &discoveryv1.Node{Name: "a", Incarnation: 7, Addresses: []string{"a:1"}}, Echo: n}
	if out := b.answered(b.now, source("x"), same); len(of[finish](out)) > 0 {
		t.Errorf("%v: the same addresses are its own older self", out)
	}
	other := &discoveryv1.Answer{Cluster: "c", Node: &discoveryv1.Node{Name: "a", Incarnation: 7, Addresses: []string{"b:1"}}, Echo: n}
	ends := of[finish](b.answered(b.now, source("x"), other))
	if len(ends) != 1 || ends[0].err == nil {
		t.Fatalf("ends %v, want a conflict", ends)
	}
	for _, part := range []string{`"a"`, "is in use", "a:1", "b:1", "--name"} {
		if !strings.Contains(ends[0].err.Error(), part) {
			t.Errorf("%q does not name %s", ends[0].err, part)
		}
	}
}

func TestAdviceOfALongSearch(t *testing.T) {
	for _, c := range []struct {
		expect int
		own    string
		want   []string
	}{
		{0, "", []string{"no ring found", "no ring of cluster c answers", "--bootstrap", "--expect N", "--join HOST:PORT"}},
		{3, "", []string{"no ring founded yet", "heard 2 of 3 names", "--expect 3", "heard-by-others [z]"}},
		{3, "r1", []string{"no leader of this ring answers", "r1", "--join"}},
	} {
		b := newBench(t, "a", c.expect)
		b.setRing(b.now, &discoveryv1.Ring{RingId: c.own})
		b.startSeek(b.now)
		var advice []string
		for range 70 {
			b.heard.told(b.now, "a", []string{"z"})
			for _, n := range of[note](append(b.hears("b"), b.after(time.Second)...)) {
				if n.level == hclog.Warn && n.interfaces {
					advice = append(advice, strings.TrimSpace(fmt.Sprintln(append([]any{n.message}, n.args...)...)))
				}
			}
		}
		if len(advice) != 3 {
			t.Fatalf("expect %d: %d lines in 70 s, want 3 (3 s, then every 30 s): %q", c.expect, len(advice), advice)
		}
		for _, w := range c.want {
			if !strings.Contains(advice[0], w) {
				t.Errorf("expect %d: %q does not say %q", c.expect, advice[0], w)
			}
		}
	}
}

func TestOutlets(t *testing.T) {
	interfaces := 0
	is := func(name string, flags net.Flags, addresses ...string) hostaddr.Interface {
		interfaces++
		c := hostaddr.Interface{Interface: net.Interface{Name: name, Index: interfaces, Flags: flags}}
		for _, a := range addresses {
			c.Addresses = append(c.Addresses, netip.MustParsePrefix(a))
		}
		return c
	}
	lo := is("lo", net.FlagUp|net.FlagLoopback, "127.0.0.1/8", "::1/128")
	eth := is("eth0", net.FlagUp|net.FlagBroadcast|net.FlagMulticast, "10.1.2.3/20", "10.1.2.4/20", "fd00::1/64", "fe80::1/64")
	cloud := is("eth1", net.FlagUp|net.FlagBroadcast, "10.9.9.9/32")
	down := is("eth2", net.FlagBroadcast, "10.8.8.8/24")
	tunnel := is("tun0", net.FlagUp, "10.7.7.7/24")
	all := []hostaddr.Interface{lo, eth, cloud, down, tunnel}
	for _, c := range []struct {
		name  string
		bind  string
		names []string
		cards []hostaddr.Interface
		want  string
	}{
		{"everywhere", "", nil, all, "eth0/10.1.15.255 eth0/ff12::4152:4331 eth1/255.255.255.255"},
		{"unspecified", "0.0.0.0", nil, all, "eth0/10.1.15.255 eth0/ff12::4152:4331 eth1/255.255.255.255"},
		{"nothing but loopback", "", nil, []hostaddr.Interface{lo, down}, "lo/127.255.255.255"},
		{"loopback", "127.0.0.1", nil, all, "lo/127.255.255.255"},
		{"another loopback address", "127.0.0.7", nil, all, "lo/127.255.255.255"},
		{"IPv6 loopback", "::1", nil, all, "lo/127.255.255.255"},
		{"one IPv4 address", "10.1.2.4", nil, all, "eth0/10.1.15.255"},
		{"one IPv6 address", "fd00::1", nil, all, "eth0/ff12::4152:4331"},
		{"two", "127.0.0.1,10.1.2.3", nil, all, "lo/127.255.255.255 eth0/10.1.15.255"},
		{"an address that is not there", "10.5.5.5", nil, all, ""},
		{"by name", "", []string{"eth1"}, all, "eth1/255.255.255.255"},
		{"loopback by name", "", []string{"lo"}, all, "lo/127.255.255.255"},
		{"a name that is not bound", "127.0.0.1", []string{"eth0"}, all, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &Options{Interfaces: c.names}
			for _, a := range strings.FieldsFunc(c.bind, func(r rune) bool { return r == ',' }) {
				o.Bind = append(o.Bind, netip.MustParseAddr(a))
			}
			if got := strings.Join(names(o.outlets(c.cards)), " "); got != c.want {
				t.Errorf("outlets %q, want %q", got, c.want)
			}
		})
	}
	if err := missing([]string{"eth7"}, all); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "lo, eth0") {
		t.Errorf("unknown interface: %v, want an error that lists those there are", err)
	}
}

func TestNearestFirst(t *testing.T) {
	got := nearestFirst([]string{"172.17.0.1:7400", "host:7400", "10.0.0.1:7400"}, netip.MustParseAddr("::ffff:10.0.0.1"))
	if want := []string{"10.0.0.1:7400", "172.17.0.1:7400", "host:7400"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
