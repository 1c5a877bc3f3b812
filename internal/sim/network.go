package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
)

// Network is how the network of a run behaves when no fault is at work.
type Network struct {
	Base, Jitter time.Duration
	// Tail: one message in TailOdds takes up to Tail longer.
	Tail     time.Duration
	TailOdds int
	// Loss and Dup are per 65536 messages.
	Loss, Dup uint32
	// Ordered links deliver in order, as a stream does.
	Ordered bool
	// Copies are made of every message on the way, as a real wire does.
	Copies bool
	// Hold: one in so many messages into a cut waits in a buffer until the
	// cut ends; 0 none.
	Hold int
}

// link is one direction between two machines.
type link struct {
	rnd   *rand.PCG
	cut   int   // faults that cut it now
	cutAt int64 // since when
	delay time.Duration
	loss  uint32
	dup   uint32
	last  int64 // when the newest message of an ordered link arrives
	bad   int64 // when it last lost or delayed anything, or was cut
	// goodAt is when a fault was last at work on it.
	goodAt int64
	held   []event
	// lanes are the networks, if there are several; severed: faults of them cut it.
	lanes   []lane
	severed bool
	// redialled is when the stream was last opened again after a loss.
	redialled int64
}

// badDelay is what makes a link count as disturbed.
const badDelay = 10 * time.Millisecond

// retransmission is how long a stream takes to send again what was lost.
const retransmission = 200 * time.Millisecond

// heldMost bounds the messages that wait in a cut link.
const heldMost = 64

func (s *Sim) link(from, to int) *link {
	i := from*len(s.nodes) + to
	if s.links[i] == nil {
		s.links[i] = &link{rnd: rand.NewPCG(s.opt.Seed, 1<<16+uint64(i)+s.opt.Salt<<32), bad: -int64(time.Hour), lanes: s.world.lanesOf()}
	}
	return s.links[i]
}

// odds is a random number below 65536.
func (l *link) odds() uint32 { return uint32(l.rnd.Uint64() & 0xffff) }

// transmit carries e from one machine to another. reliable traffic, that of a
// connection, is late instead of lost; only a cut stops it.
func (s *Sim) transmit(from, to int, e event, reliable bool) bool {
	e.node, e.peer = int16(to), int16(from)
	if from == to {
		e.at = s.now + int64(s.between(s.nodes[from].rnd, 20*time.Microsecond, 60*time.Microsecond))
		s.q.push(e)
		return true
	}
	if s.now >= int64(s.opt.CountFrom) && (s.opt.CountTo == 0 || s.now < int64(s.opt.CountTo)) {
		s.nodes[from].sent++
		s.nodes[to].received++ // if it arrives
	}
	l := s.link(from, to)
	if l.cut > 0 {
		l.bad = s.now
		if s.net.Hold > 0 && !reliable && len(l.held) < heldMost && int(l.rnd.Uint64()%uint64(s.net.Hold)) == 0 {
			l.held = append(l.held, e)
			s.stats.counts[cHeld]++
		}
		s.stats.counts[cCut]++
		return false
	}
	loss, dup := s.net.Loss+l.loss, s.net.Dup+l.dup
	if s.calm {
		loss, dup = 0, 0
	}
	copied := e.kind == evDeliver && s.world.Networks > 1
	lost := copied && !s.copies(from, to, e, loss, dup) || !copied && l.odds() < loss
	if copied && !lost {
		return true
	}
	if lost && !reliable {
		l.bad = s.now
		s.stats.counts[cLost]++
		s.noteLost(e)
		// What a stream loses it loses by breaking: it is opened again.
		if e.kind == evDeliver && s.now >= l.redialled+int64(time.Second) {
			l.redialled = s.now
			s.redial(from, to)
		}
		return false
	}
	e.at = s.now + s.anyNetwork(l)
	if lost {
		e.at += int64(retransmission)
		l.bad = e.at
	}
	// A probe has a connection of its own, on which nothing is ahead of it.
	if e.kind == evProbe || e.kind == evProbed {
		s.q.push(e)
		return true
	}
	if s.net.Ordered || reliable {
		e.at = max(e.at, l.last+1)
		l.last = e.at
	} else if e.at < l.last {
		s.stats.counts[cReordered]++
	} else {
		l.last = e.at
	}
	s.q.push(e)
	if !reliable && l.odds() < dup {
		s.stats.counts[cDoubled]++
		e.at += s.delay(l)
		s.q.push(e)
	}
	return true
}

func (s *Sim) delay(l *link) int64 {
	d := s.net.Base + l.delay
	if s.net.Jitter > 0 {
		d += time.Duration(l.rnd.Uint64() % uint64(s.net.Jitter))
	}
	if s.net.TailOdds > 0 && l.rnd.Uint64()%uint64(s.net.TailOdds) == 0 {
		// Squared, so that small ones are common and big ones rare.
		x := l.rnd.Uint64() & 0xffff
		tail := s.net.Tail
		if s.calm {
			tail = min(tail, s.ledger.settings.Detection(true)/8)
		}
		d += time.Duration(uint64(tail) * (x * x >> 16) >> 16)
		s.stats.counts[cTail]++
	}
	if d >= badDelay {
		l.bad = max(l.bad, s.now+int64(d))
	}
	return int64(d)
}

// cutLink cuts one direction, once more; healLink takes one cut away.
func (s *Sim) cutLink(from, to int) {
	if from == to {
		return
	}
	l := s.link(from, to)
	if l.cut++; l.cut == 1 {
		l.cutAt = s.now
	}
	l.bad = s.now
	s.laneChanged(from, to)
}

func (s *Sim) healLink(from, to int) {
	if from == to {
		return
	}
	l := s.link(from, to)
	if l.cut--; l.cut > 0 {
		return
	}
	l.cut = 0
	l.bad = s.now
	s.laneChanged(from, to)
	for _, e := range l.held {
		e.at = s.now + int64(time.Millisecond) + s.delay(l)
		s.q.push(e)
	}
	l.held = l.held[:0]
	s.redial(from, to)
	s.redial(to, from)
}

// open reports whether a message from one machine to another would get through
// now, but for chance.
func (s *Sim) open(from, to int) bool { return from == to || s.link(from, to).cut == 0 }

// between draws a duration.
func (s *Sim) between(r *rand.Rand, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(r.Int64N(int64(hi-lo)))
}

// send carries a core's message to the machine of the member it is for.
func (s *Sim) send(n *node, m election.Message) {
	to := s.routed(n, m)
	if to < 0 || to == n.idx {
		return
	}
	if m.Evicted == nil && m.Held == nil && n.peers != nil && !slices.Contains(n.peers, m.To) && !n.provisional(m.To, s.now) {
		s.stats.count("net: not to a peer", 1)
		return
	}
	s.noteAsked(n, &m)
	if m.Raft != nil {
		s.watchRaft(n, m.Raft)
	}
	if m.Check != nil && !m.Check.Answer && n.asked[m.To] <= n.silenceOf(m.To).heard {
		n.asked[m.To] = s.now
	}
	if len(s.armed) > 0 {
		switch {
		case m.Renew != nil:
			s.trigger("renew", n)
			if m.Renew.Grant != n.named {
				n.named = m.Renew.Grant
				s.trigger("grant", n)
			}
		case m.Opinion != nil && m.Opinion.Grant() != 0:
			s.trigger("testimony", n)
		case m.RenewAck != nil:
			s.trigger("promise", n)
		}
	}
	m.Incarnation = n.inc // the receiver's transport knows it from the stream
	e := event{kind: evDeliver, p: &m}
	if s.opt.Messages {
		s.tracef(n, "  → %s: %s", s.nodes[to].name, describe(m))
	}
	if s.opt.Contents {
		s.hash.str(describe(m))
	}
	s.stats.counts[cSent]++
	if !s.transmit(n.idx, to, e, false) && n.rnd.IntN(4) == 0 {
		s.q.push(event{at: s.now + int64(s.between(n.rnd, time.Millisecond, 40*time.Millisecond)), kind: evUnreach, node: int16(n.idx), gen: n.gen, n: m.To})
	}
}

func copyRaft(m *raftpb.Message) *raftpb.Message {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	c := &raftpb.Message{}
	if err := proto.Unmarshal(b, c); err != nil {
		panic(err)
	}
	return c
}

// hellos opens the streams between a node and its peers: each side dials.
func (s *Sim) hellos(n *node) {
	for _, o := range s.nodes {
		// A member that has just joined was told of all members with the answer.
		if s.world.Formed && o.idx >= 24 {
			break // a joiner dials the voters alone
		}
		if o != n && (n.peers == nil || o.id != 0 && slices.Contains(n.peers, o.id)) {
			s.transmit(n.idx, o.idx, event{kind: evHello, n: n.id}, true)
		}
	}
	if s.world.Formed {
		return
	}
	for _, o := range s.nodes {
		if o != n && o.up && o.core != nil && slices.Contains(o.peers, n.id) {
			s.transmit(o.idx, n.idx, event{kind: evHello, n: o.id}, true)
		}
	}
}

// redial opens the streams again that a cut broke.
func (s *Sim) redial(from, to int) {
	n, o := s.nodes[from], s.nodes[to]
	if n.core != nil && (n.peers == nil || o.id != 0 && slices.Contains(n.peers, o.id)) {
		s.q.push(event{at: s.now + int64(s.between(n.rnd, time.Millisecond, 300*time.Millisecond)), kind: evHello, node: int16(to), peer: int16(from), n: n.id})
	}
}

// hello is a peer that opens a stream: one that was taken out of the ring is
// told so by the transport.
func (s *Sim) hello(n *node, e event) {
	if n.up && n.core != nil {
		s.notice(n, int(e.peer), e.n)
	}
}

// notice tells who is no member any more.
func (s *Sim) notice(n *node, to int, id uint64) {
	st := n.core.State()
	if a := n.core.Standing(n.clock.local(s.now), id); !a.Out || a.Needed {
		return
	}
	m := &election.Message{From: n.id, To: id, Evicted: &election.EvictedNotice{RingID: st.RingID, ID: id, Epoch: st.Epoch}}
	s.transmit(n.idx, to, event{kind: evDeliver, p: m}, false)
}

// inquiry is a member's question whether it still is one, and an answer.
type inquiry struct {
	id     uint64
	gen    uint32
	answer election.Standing
}

// inquire asks every machine in reach: the daemon asks whom it knows, whom it
// was told to join and whom discovery hears.
func (s *Sim) inquire(n *node) {
	s.stats.count("inquiries", 1)
	for _, o := range s.nodes {
		if o != n {
			s.transmit(n.idx, o.idx, event{kind: evInquire, p: &inquiry{id: n.id, gen: n.gen}}, true)
		}
	}
}

func (s *Sim) inquired(n *node, e event) {
	if !n.up || n.core == nil {
		return
	}
	q := *e.p.(*inquiry)
	q.answer = n.core.Standing(n.clock.local(s.now), q.id)
	s.transmit(n.idx, int(e.peer), event{kind: evStanding, p: &q}, true)
}

// mistake tells a member in the name of another one that it is out, which is
// false.
func (s *Sim) mistake(n, by *node, later uint64) {
	if n.core == nil {
		return
	}
	m := &election.Message{From: by.id, To: n.id, Incarnation: by.inc,
		Evicted: &election.EvictedNotice{RingID: "r1", ID: n.id, Epoch: n.core.State().Epoch + later}}
	s.transmit(by.idx, n.idx, event{kind: evDeliver, p: m}, true)
}

// meeting is when a member was last heard by the transport, and when its
// present process was.
type meeting struct {
	id          uint64
	at, present int64
}

func (n *node) met(id uint64, now int64, present bool) {
	i := slices.IndexFunc(n.meetings, func(m meeting) bool { return m.id == id })
	if i < 0 {
		i = len(n.meetings)
		n.meetings = append(n.meetings, meeting{id: id})
	}
	n.meetings[i].at = now
	if present {
		n.meetings[i].present = now
	}
}

// heardSince reports whether anything of a member's present process came in
// after a time.
func (n *node) heardSince(id uint64, since int64) bool {
	return slices.ContainsFunc(n.meetings, func(m meeting) bool { return m.id == id && m.present > since })
}

func (n *node) provisional(id uint64, now int64) bool {
	for _, m := range n.meetings {
		if m.id == id {
			return now < m.at+int64(durations.UnlistedKeep) && !n.core.State().Gone(id)
		}
	}
	return false
}

// deliver hands an arrived message to the coordinator, if the one that it is
// meant for is there.
func (s *Sim) deliver(n *node, e event) {
	m := e.p.(*election.Message)
	if !n.power {
		return
	}
	if n.up && n.core != nil && n.id != m.To {
		s.notice(n, int(e.peer), m.From) // who is gone hears it, whomever it asks for
	}
	if !n.up || n.core == nil || n.id != m.To {
		// The host resets the stream; its sender learns of it.
		from := s.nodes[e.peer]
		if from.up && from.id == m.From && s.open(n.idx, from.idx) && !n.paused {
			s.q.push(event{at: s.now + int64(s.net.Base), kind: evUnreach, node: e.peer, gen: from.gen, n: m.To})
		}
		return
	}
	if !s.takes(n, e) {
		return
	}
	if s.opt.Messages {
		s.tracef(n, "  ← %s: %s", s.nodes[e.peer].name, describe(*m))
	}
	from := s.nodes[e.peer]
	// A notice is no sign of life: anybody may give it. Nor is the word of a process
	// that runs from an older disk, unless the ring has taken it for the member, nor
	// that of one that is no longer the member.
	present := from.up && from.inc == m.Incarnation && !s.replacedFor(n, from.inc)
	if r, _ := s.ledger.Member(m.From); from.restored && r.Incarnation != from.inc {
		present = false
	}
	n.met(m.From, s.now, present && m.Evicted == nil && m.Held == nil)
	got := *m
	if s.net.Copies && got.Raft != nil {
		got.Raft = copyRaft(got.Raft)
	}
	s.noteAge(from, n, &got)
	n.core.Receive(n.clock.local(s.now), got)
	s.stepped(n)
}
