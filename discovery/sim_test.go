package discovery

import (
	"container/heap"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/durations"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// world runs cores against one another in virtual time. Datagrams are lost,
// late and doubled; asks are late, lost on the way there or back; nodes start
// when they like, crash, and come back with or without their disk.
type world struct {
	t      testing.TB
	seed   uint64
	rng    *rand.Rand
	now    time.Time
	start  time.Time
	events eventQueue
	serial int
	nodes  []*simNode
	trace  []string

	loss     float64
	maxDelay time.Duration
	// askLate is how long a founder's request or its answer may take.
	askLate time.Duration
	// deaf says whether no datagram from a gets to b now; asks still do.
	deaf func(a, b *simNode) bool
	// cut says whether a and b cannot reach each other now.
	cut func(a, b *simNode) bool

	// seals are those of all nodes, nil in the clear; tape is what somebody records then.
	seals seals
	tape  []recording

	founders []string
}

type simNode struct {
	w      *world
	name   string
	expect int
	// witness: it must not found.
	witness bool
	addr    netip.AddrPort
	// skew is by how much its clock is ahead.
	skew   time.Duration
	began  time.Time
	alive  bool
	life   int // counts starts; events of an earlier life are void
	core   *core
	disk   string // ring id
	words  []Word // on the disk
	ring   string
	tickAt time.Time
}

type event struct {
	at     time.Time
	serial int
	do     func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].serial < q[j].serial
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	e := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return e
}

func newWorld(t testing.TB, seed uint64) *world {
	start := time.Unix(1_700_000_000, 0)
	return &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: start, start: start,
		maxDelay: time.Millisecond, askLate: 5 * time.Millisecond,
		cut: func(_, _ *simNode) bool { return false }, deaf: func(_, _ *simNode) bool { return false }}
}

func (w *world) at(d time.Duration, do func()) {
	w.serial++
	heap.Push(&w.events, event{w.now.Add(d), w.serial, do})
}

func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%8.3fs ", w.now.Sub(w.start).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s\n%s", w.seed, fmt.Sprintf(format, args...), strings.Join(w.trace, "\n"))
}

// delay is mostly short, sometimes all of max.
func (w *world) delay(most time.Duration) time.Duration {
	if w.rng.IntN(10) == 0 {
		return time.Duration(w.rng.Int64N(int64(most) + 1))
	}
	return time.Duration(w.rng.Int64N(int64(most)/20 + 1))
}

// run goes on until the time, or until done says so.
func (w *world) run(until time.Duration, done func() bool) {
	end := w.start.Add(until)
	for w.events.Len() > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
		w.check()
		if done != nil && done() {
			return
		}
	}
	w.now = end
}

// check is what must hold at every instant: the living are in one ring.
func (w *world) check() {
	rings := map[string]string{}
	for _, n := range w.nodes {
		if n.alive && n.ring != "" {
			rings[n.ring] = n.name
		}
	}
	if len(rings) > 1 {
		w.fail("the living are in %d rings: %v", len(rings), rings)
	}
}

func (w *world) add(name string, expect int) *simNode {
	i := len(w.nodes) + 1
	n := &simNode{w: w, name: name, expect: expect, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7400)}
	w.nodes = append(w.nodes, n)
	return n
}

func (n *simNode) boot() {
	n.alive, n.ring = true, n.disk
	n.life++
	n.tickAt = time.Time{}
	w := n.w
	w.log("%s starts (ring %q)", n.name, n.ring)
	self := &discoveryv1.Node{Name: n.name, Incarnation: w.rng.Uint64() | 1, Addresses: []string{n.addr.String()}, Witness: n.witness}
	n.core = newCore(w.now, "c", self, n.expect, w.rng.Uint64)
	if n.began = w.now; w.seals != nil {
		n.core.senders = newSenders(w.now)
	}
	n.core.found.recall(n.words, "")
	if n.ring != "" {
		n.do(func() { n.core.setRing(w.now, n.info()) })
		return
	}
	n.do(func() { n.core.startSeek(w.now) })
}

func (n *simNode) crash(loseDisk bool) {
	n.w.log("%s crashes (disk lost: %v)", n.name, loseDisk)
	n.alive, n.ring = false, ""
	n.words = n.core.found.list()
	if loseDisk {
		n.disk, n.words = "", nil
	}
}

// later does something in this life of the node only.
func (n *simNode) later(d time.Duration, do func()) {
	life := n.life
	n.w.at(d, func() {
		if n.alive && n.life == life {
			do()
		}
	})
}

// info: the lowest living member of a ring leads it. There is no election here.
func (n *simNode) info() *discoveryv1.Ring {
	for _, m := range n.w.sorted() {
		if m.alive && m.ring == n.ring {
			return &discoveryv1.Ring{RingId: n.ring, Leads: m == n, Leader: m.name, LeaderAddresses: []string{m.addr.String()}}
		}
	}
	return &discoveryv1.Ring{RingId: n.ring}
}

func (w *world) sorted() []*simNode {
	s := slices.Clone(w.nodes)
	slices.SortFunc(s, func(a, b *simNode) int { return strings.Compare(a.name, b.name) })
	return s
}

func (n *simNode) do(input func()) {
	input()
	for _, e := range n.core.take() {
		n.carryOut(e)
	}
	next := n.core.next()
	if !n.tickAt.IsZero() && !n.tickAt.After(next) && n.tickAt.After(n.w.now) {
		return
	}
	n.tickAt = next
	n.later(max(next.Sub(n.w.now), time.Millisecond), func() {
		n.tickAt = time.Time{}
		n.do(func() {
			if n.ring != "" && n.core.ring.Leader != n.info().Leader {
				n.core.setRing(n.w.now, n.info())
			}
			n.core.tick(n.w.now)
		})
	})
}

func (n *simNode) carryOut(e effect) {
	w := n.w
	switch e := e.(type) {
	case sendHello:
		b := n.pack(e.hello, bareMost, n.addr)
		for _, to := range w.nodes {
			w.deliver(n, to, b)
		}
	case sendAnswer:
		b := n.pack(e.answer, e.most, netip.AddrPort{})
		to := slices.IndexFunc(w.nodes, func(to *simNode) bool { return to.addr == e.to })
		if to < 0 {
			w.fail("%s answers %s, who did not ask", n.name, e.to)
		}
		w.deliver(n, w.nodes[to], b)
	case ask:
		n.ask(e)
	case note:
		w.log("%s: %s %v", n.name, e.message, e.args)
	case finish:
		if e.err != nil {
			w.fail("%s: %v", n.name, e.err)
		}
		n.finished(e.found)
	}
}

// deliver sends a datagram, perhaps.
func (w *world) deliver(from, to *simNode, b []byte) {
	if w.seals != nil {
		w.tape = append(w.tape, recording{from.addr, b})
	}
	for range 1 + w.rng.IntN(20)/19 {
		if w.rng.Float64() < w.loss {
			continue
		}
		w.at(w.delay(w.maxDelay), func() {
			if !to.alive || w.cut(from, to) || w.deaf(from, to) {
				return
			}
			w.arrive(recording{from.addr, b}, to)
		})
	}
}

var errLost = errors.New("deadline exceeded")

func (n *simNode) ask(e ask) {
	w := n.w
	req := proto.Clone(e.request).(*peerv1.AcceptFounderRequest)
	answer := func(accepted bool, reason string, err error) {
		n.do(func() {
			n.core.asked(w.now, e.round, e.node.Name, e.node.Incarnation, accepted, reason, err)
		})
	}
	i := slices.IndexFunc(w.nodes, func(m *simNode) bool { return m.addr.String() == e.node.Addresses[0] })
	to := w.nodes[i]
	there, back := w.delay(w.askLate), w.delay(w.askLate)
	lostBack := w.rng.Float64() < w.loss
	if w.rng.Float64() < w.loss {
		n.later(durations.FounderAsk, func() { answer(false, "", errLost) })
		return
	}
	w.at(there, func() {
		if !to.alive || w.cut(n, to) {
			n.later(back, func() { answer(false, "", errLost) })
			return
		}
		var accepted bool
		var reason string
		var err error
		to.do(func() { accepted, reason, err = to.core.accept(w.now, req) })
		if lostBack {
			n.later(durations.FounderAsk, func() { answer(false, "", errLost) })
			return
		}
		n.later(back, func() { answer(accepted, reason, err) })
	})
}

// finished is the coordinator above: it founds, or joins, after a while.
func (n *simNode) finished(f Found) {
	w := n.w
	if f.Founder {
		w.log("%s founds with %v", n.name, f.Names)
		if n.witness {
			w.fail("the witness %s founds", n.name)
		}
		w.founders = append(w.founders, n.name)
		n.later(time.Duration(w.rng.Int64N(int64(2*time.Second))), func() {
			n.enter(fmt.Sprintf("ring-of-%s-%d", n.name, len(w.founders)))
		})
		return
	}
	n.later(w.delay(50*time.Millisecond), func() {
		for _, m := range w.nodes {
			if m.alive && m.ring == f.RingID && m.info().Leads && !w.cut(n, m) {
				n.enter(f.RingID)
				return
			}
		}
		n.do(func() { n.core.startSeek(w.now) })
	})
}

func (n *simNode) enter(ring string) {
	n.w.log("%s is in %s", n.name, ring)
	n.ring, n.disk = ring, ring
	n.do(func() { n.core.setRing(n.w.now, n.info()) })
}

func (w *world) allIn() bool {
	for _, n := range w.nodes {
		if !n.alive || n.ring == "" {
			return false
		}
	}
	return true
}

var seeds = flag.Int("seeds", 300, "simulated worlds of each kind; a tenth with -short")

func simSeeds() int {
	if testing.Short() {
		return *seeds / 10
	}
	return *seeds
}

// Exactly the expected nodes, whatever the network does and whenever they
// start: one founder, and everybody in its ring.
func TestOneFounderOfExactlyTheExpected(t *testing.T) {
	for seed := range uint64(simSeeds()) {
		w := newWorld(t, seed)
		w.loss = w.rng.Float64() * 0.4
		w.maxDelay = time.Duration(w.rng.Int64N(int64(2 * time.Second)))
		w.askLate = time.Duration(w.rng.Int64N(int64(4 * time.Second)))
		n := 1 + w.rng.IntN(7)
		lead := w.rng.IntN(n) // no witness
		for i := range n {
			node := w.add(fmt.Sprintf("n%d", i), n)
			node.witness = i != lead && w.rng.IntN(3) == 0
			w.at(time.Duration(w.rng.Int64N(int64(10*time.Second))), node.boot)
		}
		if seed%2 == 0 {
			w.seal(5*time.Minute, 200*time.Millisecond)
		}
		w.run(10*time.Minute, w.allIn)
		if !w.allIn() || len(w.founders) != 1 {
			w.fail("founders %v, all in a ring: %v", w.founders, w.allIn())
		}
	}
}

// More than the expected, but fewer than twice as many, who for a while see
// very different parts of the whole, so that several ask: still one founder.
func TestOneFounderOfMoreThanTheExpected(t *testing.T) {
	for seed := range uint64(simSeeds()) {
		w := newWorld(t, seed)
		w.loss = w.rng.Float64() * 0.4
		w.maxDelay = time.Duration(w.rng.Int64N(int64(time.Second)))
		w.askLate = time.Duration(w.rng.Int64N(int64(4 * time.Second)))
		expect := 2 + w.rng.IntN(4)
		spread := w.rng.Int64N(int64(5 * time.Second))
		for i := range expect + w.rng.IntN(expect) {
			node := w.add(fmt.Sprintf("n%d", i), expect)
			node.witness = i == 0
			w.at(time.Duration(w.rng.Int64N(spread)), node.boot)
		}
		share := w.rng.Float64()
		type pair struct{ a, b *simNode }
		hears := map[pair]time.Time{}
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				if w.rng.Float64() < share {
					hears[pair{a, b}] = w.start.Add(time.Duration(w.rng.Int64N(int64(8 * time.Second))))
				}
			}
		}
		w.deaf = func(a, b *simNode) bool { return w.now.Before(hears[pair{a, b}]) }
		if seed%2 == 0 {
			w.seal(5*time.Minute, 200*time.Millisecond)
		}
		w.run(10*time.Minute, w.allIn)
		if !w.allIn() || len(w.founders) != 1 {
			w.fail("founders %v, all in a ring: %v", w.founders, w.allIn())
		}
	}
}

// Exactly the expected, with crashes, lost disks and cuts as long as one likes:
// the living are never in two rings (checked at every step), and once all is
// well again all are in one.
func TestNeverTwoRingsOfTheExpectedUnderCrashesAndCuts(t *testing.T) {
	for seed := range uint64(simSeeds()) {
		w := newWorld(t, seed)
		w.loss = w.rng.Float64() * 0.2
		w.maxDelay = time.Duration(w.rng.Int64N(int64(500 * time.Millisecond)))
		w.askLate = time.Duration(w.rng.Int64N(int64(time.Second)))
		expect := 2 + w.rng.IntN(4)
		for i := range expect {
			node := w.add(fmt.Sprintf("n%d", i), expect)
			w.at(time.Duration(w.rng.Int64N(int64(3*time.Second))), node.boot)
		}
		if seed%2 == 0 {
			w.seal(5*time.Minute, 200*time.Millisecond)
		}
		faults := 40 * time.Second
		side := map[*simNode]int{}
		w.cut = func(a, b *simNode) bool { return side[a] != side[b] }
		for range w.rng.IntN(20) {
			when := time.Duration(w.rng.Int64N(int64(faults)))
			node := w.nodes[w.rng.IntN(len(w.nodes))]
			switch w.rng.IntN(3) {
			case 0:
				w.at(when, func() {
					side[node] = w.rng.IntN(3)
					w.log("%s is moved to side %d", node.name, side[node])
				})
			default:
				w.at(when, func() {
					if !node.alive {
						return
					}
					// A disk is lost only while another member lives on: the
					// others' disks would bring the old ring back.
					node.crash(node.ring == "" || w.others(node) > 0 && w.rng.IntN(2) == 0)
					w.at(w.delay(15*time.Second), func() {
						if !node.alive {
							node.boot()
						}
					})
				})
			}
		}
		w.at(faults, func() {
			clear(side)
			w.log("healed")
		})
		w.run(10*time.Minute, func() bool { return w.now.Sub(w.start) > faults+15*time.Second && w.allIn() })
		if !w.allIn() {
			w.fail("not all are in a ring at the end; founders %v", w.founders)
		}
	}
}

// others counts the living members of the node's ring, without it.
func (w *world) others(n *simNode) (count int) {
	for _, m := range w.nodes {
		if m != n && m.alive && m.ring == n.ring {
			count++
		}
	}
	return count
}
