package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/rate"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// maxNonces bounds the hellos whose answers are taken.
const maxNonces = 32

// core is the whole of discovery's decisions. After each input, take returns what
// is to be done about it; between inputs, tick wants to be called at next. It is
// not safe for concurrent use.
type core struct {
	out     []effect
	cluster string
	// self is replaced and never changed: effects hold it.
	self   *discoveryv1.Node
	expect int
	// random is the only source of chance: nonces and jitter.
	random func() uint64

	// ring has no id while this node belongs to none.
	ring   *discoveryv1.Ring
	search *search
	heard  heardTable
	rings  ringTable
	split  split
	found  founding
	// clusters are the other clusters that were heard, by name.
	clusters map[string]clusterHeard
	// senders is nil in the clear.
	senders *senders
	// strangers, clocks and strays are who is not listened to: hosts whose datagrams
	// cannot be read, nodes whose clocks differ, and nodes whose hellos came from
	// elsewhere.
	strangers      complaints[netip.Addr]
	clocks, strays complaints[string]
	// limit and hosts bound the answers: a hello costs its sender nothing, and its source
	// address may be forged.
	limit rate.Limiter[netip.AddrPort]
	hosts rate.Limiter[netip.Addr]

	// nonces of hellos sent, the newest last; seq counts them all, and answers the
	// answers.
	nonces       []nonce
	seq, answers uint64
	// lastHello is when one was sent, quietAt when the next one is due that
	// asks for no answer.
	lastHello, quietAt time.Time
	// rival is the last incarnation that was heard to use this node's name.
	rival uint64
	// manyRings: more ring ids were heard than are remembered, so "once for
	// each" can be told no more.
	manyRings bool
}

type search struct {
	began    time.Time
	attempts uint32
	next     time.Time
	advice   time.Time
	// leaderless is the answer of a member that knew no leader, good at
	// leaderlessAt.
	leaderless   *Found
	leaderlessAt time.Time
}

type nonce struct {
	value, seq uint64
	sent       time.Time
}

// effect is one thing that the core wants done: sendHello, sendAnswer, ask,
// finish, fellow, report or note.
type effect any

// sendHello goes to everybody in reach.
type sendHello struct{ hello *discoveryv1.Hello }

type sendAnswer struct {
	to netip.AddrPort
	// most is how long it may be without its seal: as long as the hello was.
	most   int
	answer *discoveryv1.Answer
}

// finish ends the Seek under way.
type finish struct {
	found Found
	err   error
}

// report hands another ring of the cluster to the callback.
type report struct{ ring *arcv1.OtherRing }

// fellow hands a node of this node's ring that was heard to the callback.
type fellow struct{ node *discoveryv1.Node }

// note is a line for the log.
type note struct {
	level   hclog.Level
	message string
	args    []any
	// interfaces asks for those that are used to be told in the line.
	interfaces bool
}

func (c *core) emit(e effect) { c.out = append(c.out, e) }

// log emits a line for the log.
func (c *core) log(level hclog.Level, message string, args ...any) {
	c.emit(note{level: level, message: message, args: args})
}

// loudly is the level of a line that says something new, or says it again.
func loudly(isNew bool) hclog.Level {
	if isNew {
		return hclog.Warn
	}
	return hclog.Debug
}

// take returns what is to be done, in order.
func (c *core) take() []effect {
	out := c.out
	c.out = nil
	return out
}

func newCore(now time.Time, cluster string, self *discoveryv1.Node, expect int, random func() uint64) *core {
	c := &core{
		cluster: cluster, self: self, expect: expect, random: random, ring: &discoveryv1.Ring{}, rings: ringTable{},
		heard:    heardTable{byName: map[string]*heard{}, others: map[string]time.Time{}, sources: map[netip.Addr]time.Time{}},
		clusters: map[string]clusterHeard{}, strangers: complaints[netip.Addr]{}, clocks: complaints[string]{}, strays: complaints[string]{},
		limit: rate.Limiter[netip.AddrPort]{Each: limits.SourceAnswers, All: limits.AllAnswers, Most: limits.Sources},
		hosts: rate.Limiter[netip.Addr]{Each: limits.HostAnswers, Most: limits.Sources},
	}
	c.beQuiet(now)
	return c
}

// startSeek begins a search: what an earlier one found does not count.
func (c *core) startSeek(now time.Time) {
	c.search = &search{began: now, next: now, advice: now.Add(durations.AdviceAfter)}
	c.nonces = c.nonces[:0]
	c.found.restart()
	c.tick(now)
}

// stopSeek ends a search that nobody waits for any more.
func (c *core) stopSeek(now time.Time) {
	c.search = nil
	c.found.abandon(now, 0)
	c.beQuiet(now)
}

// beQuiet sets when the next hello is due that asks for no answer.
func (c *core) beQuiet(now time.Time) {
	interval := durations.MemberInterval
	if c.found.decided {
		// The acceptors hold their word as long as they hear this node.
		interval = durations.SeekInterval
	}
	c.quietAt = now.Add(c.jitter(interval))
}

// tick does what is due.
func (c *core) tick(now time.Time) {
	if s := c.search; s != nil {
		if s.leaderless != nil && !now.Before(s.leaderlessAt) {
			c.finish(now, *s.leaderless)
			return
		}
		if !now.Before(s.advice) {
			s.advice = now.Add(durations.AdviceInterval)
			c.advice(now)
		}
		if !now.Before(s.next) {
			c.seekHello(now)
		}
	} else if !now.Before(c.quietAt) {
		c.quietHello(now)
	}
	c.advanceFounding(now)
}

// next is when tick has something to do.
func (c *core) next() time.Time {
	next := c.quietAt
	if s := c.search; s != nil {
		next = earliest(s.next, s.advice)
		if s.leaderless != nil {
			next = earliest(next, s.leaderlessAt)
		}
	}
	return c.found.next(next)
}

func earliest(times ...time.Time) time.Time { return slices.MinFunc(times, time.Time.Compare) }

func (c *core) seekHello(now time.Time) {
	s := c.search
	s.attempts++
	if int(s.attempts) < len(durations.FirstHellos) {
		s.next = s.began.Add(c.jitter(durations.FirstHellos[s.attempts]))
	} else {
		s.next = now.Add(c.jitter(durations.SeekInterval))
	}
	if !s.next.After(now) {
		s.next = now.Add(durations.SeekLeast)
	}
	c.sayHello(now, s.attempts)
}

// poke makes the next hello of a search due soon.
func (c *core) poke(now time.Time) {
	if c.search != nil {
		soon := c.lastHello.Add(durations.SeekLeast)
		if soon.Before(now) {
			soon = now
		}
		c.search.next = earliest(c.search.next, soon)
	}
}

func (c *core) quietHello(now time.Time) {
	c.beQuiet(now)
	c.sayHello(now, 0)
}

// moved takes new addresses over and tells them.
func (c *core) moved(now time.Time, self *discoveryv1.Node) {
	c.self = self
	c.announce(now)
}

// announce says hello out of turn.
func (c *core) announce(now time.Time) {
	if c.search != nil {
		c.poke(now)
		c.tick(now)
		return
	}
	c.quietHello(now)
}

// sayHello says hello to everybody; a node without an address has nothing to say.
func (c *core) sayHello(now time.Time, attempt uint32) {
	c.lastHello = now
	if len(c.self.Addresses) == 0 {
		c.log(hclog.Debug, "no hello: this machine has no address yet")
		return
	}
	c.seq++
	n := nonce{value: c.random() | 1, seq: c.seq, sent: now}
	if len(c.nonces) == maxNonces {
		c.nonces = slices.Delete(c.nonces, 0, 1)
	}
	c.nonces = append(c.nonces, n)
	c.emit(sendHello{&discoveryv1.Hello{
		Cluster: c.cluster, Node: c.self, Ring: c.toldRing(),
		Nonce: n.value, Attempt: attempt, Founding: c.foundingState(), Stamp: c.stamp(c.seq),
	}})
}

// stamp begins the stamp of a sealed datagram, nil in the clear. The rest is known when
// it leaves.
func (c *core) stamp(number uint64) *discoveryv1.Stamp {
	if c.senders == nil {
		return nil
	}
	return &discoveryv1.Stamp{Number: number}
}

// toldRing is what hellos and answers say of this node's ring, nil for none. A
// leader's addresses are those of the sender.
func (c *core) toldRing() *discoveryv1.Ring {
	if c.ring.RingId == "" {
		return nil
	}
	r := proto.Clone(c.ring).(*discoveryv1.Ring)
	if r.Leads {
		r.Leader, r.LeaderAddresses = "", nil
	}
	return r
}

// hello handles somebody's hello, wherever it came from.
func (c *core) hello(now time.Time, at arrival, h *discoveryv1.Hello) {
	if h.Cluster != c.cluster {
		c.hearCluster(now, at.from, h.Cluster, h.Node.GetName())
		return
	}
	own := h.Node.Name == c.self.Name
	if own && h.Node.Incarnation == c.self.Incarnation {
		return
	}
	if c.senders != nil {
		switch c.judge(now, at, h) {
		case dropped:
			return
		case answered:
			c.answer(now, at, h, own)
			return
		}
	}
	if own {
		c.namesake(at.from, h.Node)
		c.answer(now, at, h, true)
		return
	}
	c.hear(now, at.from, h)
	if h.Ring != nil && c.search != nil && c.wanted(now, h.Ring.RingId) {
		// A member: ask it for the leader.
		c.poke(now)
	}
	c.answer(now, at, h, false)
	c.tick(now)
}

// answer decides whether a hello is answered: the leader always, members
// when it did not, and those who want to found when the asker may not have
// heard them, does not believe their hellos yet, or waits for their word.
func (c *core) answer(now time.Time, at arrival, h *discoveryv1.Hello, namesake bool) {
	if len(c.self.Addresses) == 0 {
		return
	}
	f := h.Founding
	waitsForUs := f.GetAccepted() == c.self.Name && f.GetAcceptedIncarnation() == c.self.Incarnation
	switch {
	case h.Attempt == 0:
		return
	case namesake, c.ring.RingId != "" && c.ring.Leads, waitsForUs:
	case h.Attempt == 1:
		return
	case c.ring.RingId != "":
	case c.expect == 0 || f.GetExpect() == 0:
		return
	case !c.heard.isNew(now, h.Node.Name) && at.wall.UnixMicro() >= h.Stamp.GetSince():
		return
	}
	// One host cannot use up what there is for all, nor the table of sources.
	if c.hosts.Allow(now, at.from.Addr()) && c.limit.Allow(now, at.from) {
		c.answers++
		c.emit(sendAnswer{at.from, min(at.size, bareMost), &discoveryv1.Answer{
			Cluster: c.cluster, Node: c.self, Ring: c.toldRing(), Echo: h.Nonce,
			Founding: c.foundingState(), Heard: c.heard.names(now), Stamp: c.stamp(c.answers),
		}})
	}
}

// answered handles an answer; one that echoes no recent hello of this node's is
// dropped.
func (c *core) answered(now time.Time, at arrival, a *discoveryv1.Answer) {
	if a.Cluster != c.cluster {
		return
	}
	from := at.from
	i := slices.IndexFunc(c.nonces, func(n nonce) bool { return n.value == a.Echo && now.Sub(n.sent) <= durations.HelloAnswer })
	if i < 0 || c.senders != nil && !(c.inWindow(now, at, a.Node, a.Stamp) && c.senders.answered(now, a.Node, a.Stamp)) {
		return
	}
	asked, node := c.nonces[i], a.Node
	if node.Name == c.self.Name {
		if node.Incarnation == c.self.Incarnation {
			return
		}
		c.namesake(from, node)
		if c.search != nil && !sameSet(node.Addresses, c.self.Addresses) {
			// The echo proves that the other one is alive too.
			c.stopSeek(now)
			c.emit(finish{err: fmt.Errorf(
				"node name %q of cluster %q is in use: a running coordinator at %s (heard from %s) has it, and so does this one at %s; give one of them another --name",
				c.self.Name, c.cluster, strings.Join(node.Addresses, ","), from, strings.Join(c.self.Addresses, ","))})
		}
		return
	}
	c.hear(now, from, a)
	c.heard.told(now, c.self.Name, a.Heard)
	c.releaseByAnswer(node, asked.seq, a)
	if a.Ring != nil && c.search != nil {
		c.consider(now, from, node, a.Ring)
	}
	c.tick(now)
}

// namesake notes another incarnation under this node's name; the same
// addresses are its own older self.
func (c *core) namesake(from netip.AddrPort, node *discoveryv1.Node) {
	if sameSet(node.Addresses, c.self.Addresses) {
		return
	}
	c.log(loudly(c.rival != node.Incarnation), "another coordinator has this node's name",
		"node", c.self.Name, "addresses", node.Addresses, "from", from, "own-addresses", c.self.Addresses,
		"hint", "give one of them another --name")
	c.rival = node.Incarnation
}

// finish ends the search with a ring or with the right to found one.
func (c *core) finish(now time.Time, f Found) {
	c.search, c.found.asking = nil, nil
	c.beQuiet(now)
	c.emit(finish{found: f})
}

// jitter returns d, give or take a fifth.
func (c *core) jitter(d time.Duration) time.Duration {
	return d*4/5 + time.Duration(c.random()%1024)*(d*2/5)/1024
}
