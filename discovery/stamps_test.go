package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// newSealedBench is a bench whose core takes sealed datagrams alone, and began a
// minute ago.
func newSealedBench(t *testing.T, name string, expect int) *bench {
	b := newBench(t, name, expect)
	b.senders = newSenders(b.now)
	b.after(time.Minute)
	return b
}

// stamped is the number'th hello of the node's process; it leaves now.
func (b *bench) stamped(name string, number uint64, changes ...change) *discoveryv1.Hello {
	h := &discoveryv1.Hello{Cluster: "c", Node: peer(name, 1), Nonce: number, Attempt: 2, Founding: &discoveryv1.Founding{Expect: uint32(b.expect)},
		Stamp: &discoveryv1.Stamp{Number: number}}
	leaves(h.Stamp, b.now, b.now, b.now, source(name))
	for _, c := range changes {
		c(h)
	}
	return h
}

func skewed(by time.Duration) change {
	return func(h *discoveryv1.Hello) { h.Stamp.SentAt += by.Microseconds() }
}

// comes plays a hello from where it left.
func (b *bench) comes(h *discoveryv1.Hello) []effect { return b.hello(b.now, source(h.Node.Name), h) }

// stampedAnswer is the node's number'th answer, to this core's newest hello.
func (b *bench) stampedAnswer(name string, number uint64, r *discoveryv1.Ring) *discoveryv1.Answer {
	a := &discoveryv1.Answer{Cluster: "c", Node: peer(name, 1), Ring: r, Echo: b.nonces[len(b.nonces)-1].value, Stamp: &discoveryv1.Stamp{Number: number}}
	leaves(a.Stamp, b.now, b.now, b.now, netip.AddrPort{})
	return a
}

// knows is all that a core has heard, and what it is about to do.
func (b *bench) knows() string {
	var all strings.Builder
	for _, name := range keys(b.heard.byName, func(*heard) bool { return true }) {
		h := *b.heard.byName[name]
		fmt.Fprintf(&all, "%s: %v before %v, %v %v %v %v %q %v\n", name, h.node, h.before, h.source, h.since, h.last, h.expect, h.ringID, h.conflict)
	}
	for _, id := range b.rings.ids(b.now) {
		fmt.Fprintf(&all, "ring %s: %+v\n", id, *b.rings[id])
	}
	if w := b.found.word; w != nil {
		fmt.Fprintf(&all, "word %+v\n", *w)
	}
	if b.search != nil {
		fmt.Fprintf(&all, "search %+v\n", *b.search)
	}
	fmt.Fprintf(&all, "split %+v others %v sources %v rival %v nonces %v clusters %v next %v", b.split, b.heard.others, b.heard.sources, b.rival, b.nonces, b.clusters, b.next())
	return all.String()
}

// states are those in which a replay could do harm.
var states = map[string]func(b *bench){
	"joiner":  func(b *bench) { b.startSeek(b.now) },
	"founder": func(b *bench) { b.startSeek(b.now); b.comes(b.stamped("b", 1)); b.comes(b.stamped("d", 1)) },
	"acceptor": func(b *bench) {
		b.startSeek(b.now)
		b.comes(b.stamped("Z", 1))
		if ok, why := b.request("Z", 1, "Z", "a", "c"); !ok {
			b.t.Fatal(why)
		}
	},
	"member": func(b *bench) { b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leader: "b"}) },
	"leader": func(b *bench) { b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true}) },
}

// recorded are hellos that would be worth recording.
var recorded = map[string][]change{
	"asks for an answer":          nil,
	"is at founding":              {hasAccepted("Z", 1)},
	"waits for this node":         {hasAccepted("a", selfIncarnation)},
	"is in this node's ring":      {inRing("r1")},
	"is in another ring":          {inRing("r2")},
	"leads a ring of the same id": {inRing("r1"), func(h *discoveryv1.Hello) { h.Ring.Leads, h.Ring.RefoundedAt = true, 7 }},
	"is another process":          {incarnation(2)},
	"has this node's name":        {func(h *discoveryv1.Hello) { h.Node = peer("a", 2) }},
}

// A recorded hello causes nothing: neither at once, nor later while a new one of its
// process would count, from wherever it comes, and whatever this node is doing.
func TestAReplayedHelloCausesNothing(t *testing.T) {
	for state, prepare := range states {
		for what, changes := range recorded {
			t.Run(state+", "+what, func(t *testing.T) {
				b := newSealedBench(t, "a", 3)
				prepare(b)
				b.take()
				h := b.stamped("Z", 10, changes...)
				h.Stamp.Source = sourceBytes(source("Z"))
				b.hello(b.now, source("Z"), h)
				for _, after := range []time.Duration{0, time.Millisecond, 30 * time.Second, durations.ClockSlack - time.Minute, 6 * time.Minute, time.Hour} {
					b.after(after)
					for _, from := range []netip.AddrPort{source("Z"), netip.MustParseAddrPort("192.0.2.1:53"), source("b")} {
						before := b.knows()
						for _, e := range b.hello(b.now, from, h) {
							if n, ok := e.(note); !ok || n.message != "a hello did not come from where it left" && !strings.HasPrefix(n.message, "the clock of another") {
								t.Errorf("after %s from %s: %+v", after, from, e)
							}
						}
						if now := b.knows(); now != before {
							t.Errorf("after %s from %s: the core knew\n%s\nand then\n%s", after, from, before, now)
						}
					}
				}
			})
		}
	}
}

// A process is remembered for as long as its newest hello is in the window, also if its
// clock is ahead.
func TestAProcessIsRememberedWhileItsHelloIsInTheWindow(t *testing.T) {
	b := newSealedBench(t, "a", 3)
	b.startSeek(b.now)
	h := b.stamped("Z", 10, skewed(durations.ClockSlack-time.Second))
	b.comes(h)
	b.after(2*durations.ClockSlack - 2*time.Second)
	before := b.knows()
	b.comes(h)
	if now := b.knows(); now != before {
		t.Errorf("the core knew\n%s\nand then\n%s", before, now)
	}
}

// A hello that never came, as from a network that is cut off, counts for nothing once
// its process has been heard since, whichever way it takes.
func TestAnOlderHelloCausesNothing(t *testing.T) {
	for what, changes := range recorded {
		b := newSealedBench(t, "a", 3)
		b.startSeek(b.now)
		older := b.stamped("Z", 9, changes...)
		b.hello(b.now, source("Z"), b.stamped("Z", 10, changes...))
		for _, way := range []string{"Z", "y"} {
			older.Stamp.Source = sourceBytes(source(way))
			before := b.knows()
			if out := b.hello(b.now, source(way), older); len(out) > 0 || b.knows() != before {
				t.Errorf("%s, by %s: effects %v, the core knew\n%s\nand then\n%s", what, way, out, before, b.knows())
			}
		}
	}
}

// What left before this process began may have been heard by the one before it. It is
// answered, as its sender may be alive with a clock that is behind, and no more.
func TestAHelloOfBeforeTheStartIsOnlyAnswered(t *testing.T) {
	for state, prepare := range states {
		for what, changes := range recorded {
			t.Run(state+", "+what, func(t *testing.T) {
				b := newSealedBench(t, "a", 3)
				prepare(b)
				b.take()
				h := b.stamped("Z", 10, append(changes, skewed(-time.Minute-durations.HelloLate-time.Millisecond))...)
				before := b.knows()
				for range 3 {
					for _, e := range b.hello(b.now, source("Z"), h) {
						if a, ok := e.(sendAnswer); !ok || a.to != source("Z") {
							t.Errorf("%+v", e)
						}
					}
				}
				if now := b.knows(); now != before {
					t.Errorf("the core knew\n%s\nand then\n%s", before, now)
				}
			})
		}
	}
}

// A copy from elsewhere is not answered, and does not use up the number of the hello.
func TestAnAnswerGoesOnlyToWhereTheHelloLeft(t *testing.T) {
	b := newSealedBench(t, "a", 0)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true})
	h := b.stamped("j", 1)
	victim := netip.MustParseAddrPort("192.0.2.1:53")
	out := b.hello(b.now, victim, h)
	if answers := of[sendAnswer](out); len(answers) > 0 || b.heard.byName["j"] != nil {
		t.Errorf("answers %v to an address that the hello did not leave from", answers)
	}
	if notes := of[note](out); len(notes) != 1 || notes[0].level != hclog.Warn {
		t.Errorf("%v, want one warning", notes)
	}
	if answers := of[sendAnswer](b.comes(h)); len(answers) != 1 || answers[0].to != source("j") {
		t.Errorf("answers %v, want one to where the hello left from", answers)
	}
}

// A hello goes out by every network. Each copy is answered once, so that one network
// is enough.
func TestCopiesByOtherNetworks(t *testing.T) {
	b := newSealedBench(t, "a", 0)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true})
	for turn, want := range []int{1, 0} {
		for _, way := range []string{"j", "k"} {
			h := b.stamped("j", 7)
			h.Stamp.Source = sourceBytes(source(way))
			if answers := of[sendAnswer](b.hello(b.now, source(way), h)); len(answers) != want {
				t.Errorf("turn %d: answers %v to the copy from %s, want %d", turn, answers, source(way), want)
			}
			b.now = b.now.Add(time.Millisecond)
		}
	}
}

// The window is closed on both sides, and the operator learns whose clock it is.
func TestClocksThatDiffer(t *testing.T) {
	for _, c := range []struct {
		by   time.Duration
		want string // "" for heard
	}{
		{0, ""}, {durations.ClockSlack, ""}, {-50 * time.Second, ""},
		{durations.ClockSlack + time.Second, "5m1s ahead of this node's"},
		{-durations.ClockSlack - time.Second, "5m1s behind this node's"},
		{1000 * time.Hour, "1000h0m0s ahead of this node's"},
		{1<<63 - 1, "ahead of this node's"},
	} {
		b := newSealedBench(t, "a", 3)
		b.startSeek(b.now)
		out := b.comes(b.stamped("j", 1, func(h *discoveryv1.Hello) { h.Stamp.SentAt = b.now.Add(c.by).UnixMicro() }))
		heard := b.heard.byName["j"] != nil
		var said []string
		for _, n := range of[note](out) {
			if n.level == hclog.Warn {
				said = append(said, fmt.Sprint(n.args...))
			}
		}
		switch {
		case c.want == "":
			if !heard || len(said) > 0 {
				t.Errorf("by %s: heard %v, said %q", c.by, heard, said)
			}
		case heard || len(said) != 1 || !strings.Contains(said[0], c.want) || !strings.Contains(said[0], "--no-autodiscovery --join") || !strings.Contains(said[0], "peerj"):
			t.Errorf("by %s: heard %v, said %q, want one line with %q", c.by, heard, said, c.want)
		case !strings.Contains(b.standstill(b.now), c.want):
			t.Errorf("by %s: standstill %q", c.by, b.standstill(b.now))
		}
	}
}

// An answer outside the window, or one that was taken before, ends no search.
func TestAReplayedAnswerCausesNothing(t *testing.T) {
	b := newSealedBench(t, "a", 3)
	b.startSeek(b.now)
	founder := b.stampedAnswer("b", 5, nil)
	b.answered(b.now, source("b"), founder)
	if b.heard.byName["b"] == nil {
		t.Fatal("the answer did not count")
	}
	late := b.stampedAnswer("l", 1, &discoveryv1.Ring{RingId: "r1", Leads: true})
	late.Stamp.SentAt -= (durations.ClockSlack + time.Second).Microseconds()
	older := b.stampedAnswer("b", 4, &discoveryv1.Ring{RingId: "r1", Leads: true})
	b.after(time.Millisecond)
	for what, a := range map[string]*discoveryv1.Answer{"again": founder, "an older one": older, "from another time": late} {
		before := b.knows()
		if out := b.answered(b.now, source("x"), a); len(of[finish](out)) > 0 || b.knows() != before {
			t.Errorf("%s: effects %v, the core knew\n%s\nand then\n%s", what, out, before, b.knows())
		}
	}
}

// A node whose clock is behind is heard by its answers at once, and by its hellos from
// then on.
func TestANodeWhoseClockIsBehind(t *testing.T) {
	const behind = -3 * time.Minute
	b := newSealedBench(t, "a", 3)
	b.startSeek(b.now)
	if b.comes(b.stamped("b", 1, skewed(behind))); b.heard.byName["b"] != nil {
		t.Error("a hello counts that may have been recorded before the start")
	}
	a := b.stampedAnswer("b", 1, nil)
	a.Stamp.SentAt += behind.Microseconds()
	if b.answered(b.now, source("b"), a); b.heard.byName["b"] == nil {
		t.Fatal("its answer does not count")
	}
	b.now = b.now.Add(time.Second)
	if b.comes(b.stamped("b", 2, skewed(behind))); !b.heard.byName["b"].last.Equal(b.now) {
		t.Error("its hellos do not count after its answer")
	}
	heard := b.now
	b.now = b.now.Add(time.Second)
	if b.comes(b.stamped("b", 3, skewed(behind-10*time.Second))); !b.heard.byName["b"].last.Equal(heard) {
		t.Error("a hello counts that is older than its sender's answer")
	}

	// The other side: it answers while its own hellos do not count there.
	b = newSealedBench(t, "a", 3)
	b.startSeek(b.now)
	ahead := func(h *discoveryv1.Hello) { h.Stamp.SentAt, h.Stamp.Since = h.Stamp.SentAt+1e6, h.Stamp.Since+60e6 }
	for i := range uint64(30) {
		if n := len(of[sendAnswer](b.comes(b.stamped("b", i+1, ahead)))); n != 1 {
			t.Fatalf("%d answers to hello %d of a node that does not believe this one's", n, i+1)
		}
		b.now = b.now.Add(time.Second)
	}
}

// With more processes than are remembered, a hello that was forgotten is not believed
// a second time.
func TestForgottenHellosAreNotBelieved(t *testing.T) {
	b := newSealedBench(t, "a", 3)
	b.startSeek(b.now)
	old := b.stamped("old", 1)
	b.comes(old)
	for i := range limits.Processes {
		b.now = b.now.Add(time.Millisecond)
		b.comes(b.stamped("b", 1, incarnation(uint64(i+1))))
	}
	if n := len(b.senders.byProcess); n != limits.Processes {
		t.Errorf("%d processes are remembered, want %d", n, limits.Processes)
	}
	delete(b.heard.byName, "old")
	if b.comes(old); b.heard.byName["old"] != nil {
		t.Error("a replay counts once its process is forgotten")
	}
	if b.comes(b.stamped("old", 2)); b.heard.byName["old"] == nil {
		t.Error("a new hello of a forgotten process does not count")
	}
	b.now = b.now.Add(remembered + time.Second)
	b.comes(b.stamped("b", 1, incarnation(1)))
	if n := len(b.senders.byProcess); n != 1 {
		t.Errorf("%d processes are remembered although all but one have been silent for longer than a hello counts", n)
	}
}

func TestStrangersAreToldOfOnce(t *testing.T) {
	b := newSealedBench(t, "a", 3)
	b.startSeek(b.now)
	levels := map[hclog.Level]int{}
	play := func(host netip.Addr) {
		b.core.stranger(b.now, host, errOtherSeal)
		for _, n := range of[note](b.take()) {
			levels[n.level]++
		}
	}
	host := netip.MustParseAddr("10.0.0.9")
	for range 300 {
		play(host)
		b.now = b.now.Add(time.Second)
	}
	if levels[hclog.Warn] != 1 || levels[hclog.Debug] != 4 {
		t.Errorf("lines in five minutes of one host: %v, want one warning and four for debugging", levels)
	}
	if said := b.standstill(b.now.Add(-time.Second)); !strings.Contains(said, "a hello from 10.0.0.9 was not read: it has another seal") {
		t.Errorf("standstill %q", said)
	}
	clear(levels)
	for i := range 100_000 {
		play(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := levels[hclog.Warn]; n >= limits.Unread || len(b.strangers) > limits.Unread {
		t.Errorf("%d warnings about 100,000 forged hosts, %d remembered", n, len(b.strangers))
	}
	b.now = b.now.Add(durations.UnreadAgain + time.Second)
	clear(levels)
	if play(host); levels[hclog.Warn] != 1 {
		t.Errorf("lines %v about a host that begins again", levels)
	}
}

// One host that asks without an end leaves answers to others, whichever ports it has.
func TestAFloodOfOneHostLeavesAnswersToOthers(t *testing.T) {
	b := newSealedBench(t, "a", 0)
	b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true})
	others, answered := 0, 0
	for i := range 10_000 {
		from := netip.AddrPortFrom(netip.MustParseAddr("10.9.9.9"), uint16(1024+i))
		h := b.stamped("flood", uint64(i+1))
		h.Stamp.Source = sourceBytes(from)
		b.hello(b.now, from, h)
		if i%100 == 0 {
			others++
			j := b.stamped(fmt.Sprintf("j%02d", i/100), 1)
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i / 100)}), 5000)
			j.Stamp.Source = sourceBytes(from)
			answered += len(of[sendAnswer](b.hello(b.now, from, j)))
		}
	}
	if answered != others {
		t.Errorf("%d of %d other nodes are answered", answered, others)
	}
}

func TestStampsInTheClear(t *testing.T) {
	b := newBench(t, "a", 3)
	for _, e := range of[sendHello](b.startSeek(b.now)) {
		if e.hello.Stamp != nil {
			t.Errorf("%v has a stamp", e.hello)
		}
	}
	if answers := of[sendAnswer](b.hears("b", attempt(2))); len(answers) != 1 || slices.ContainsFunc(answers, func(a sendAnswer) bool { return a.answer.Stamp != nil }) {
		t.Errorf("answers %v, want one without a stamp", answers)
	}
}
