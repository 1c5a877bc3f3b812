package sim

import (
	"errors"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/ring"
)

// rpc is a request that travels to a coordinator and its answer that travels
// back: a join, or an operator's wish.
type rpc struct {
	from    int // machine that asks
	request election.Request
	op      *operation
	nonce   uint64
	// The answer.
	id     uint64
	unborn bool // the ring had no leader yet
	err    error
	hint   int // machine of the leader as far as is known, -1 unknown
}

// operation is an operator's wish until it is fulfilled or given up.
type operation struct {
	what  string
	via   int                                  // machine whose operator it is
	make  func(*node) (election.Request, bool) // at the machine that gets it
	tries int
	done  func(err error)
	// wish: it is asked of a whole ring, with no fault at work; answered says
	// how that ended.
	wish     bool
	answered bool
}

// beginJoin starts a new attempt to become a member.
func (s *Sim) beginJoin(n *node) {
	n.entry.Renew(n.drawNumber)
	n.search, n.rotate = membership.Search{}, n.rnd.IntN(len(s.nodes))
	s.askNext(n, s.between(n.rnd, time.Millisecond, 40*time.Millisecond))
}

// drawNumber draws a number for an entry.
func (n *node) drawNumber() uint64 { return n.rnd.Uint64() | 1 }

// askNext sets when a joiner asks the next one; what was set before is void.
func (s *Sim) askNext(n *node, in time.Duration) { s.joinTry(n, in, nobody) }

// joinTry sets when a joiner asks, and whom: a machine that it was sent on to, or
// nobody for the next one of its search.
func (s *Sim) joinTry(n *node, in time.Duration, whom int) {
	n.chain++
	s.q.push(event{at: s.now + int64(in), kind: evJoinTry, node: int16(n.idx), gen: n.chain, n: uint64(whom + 1)})
}

// nobody is no machine.
const nobody = -1

// venues are where a joiner asks in one round: the founder that it accepted and
// one of the others, as discovery finds them; else the machines that its operator
// named, and where the members of its former ring were.
func (s *Sim) venues(n *node) []membership.Venue {
	if s.accepted(n) {
		n.rotate++
		other := s.nodes[1+n.rotate%(len(s.nodes)-1)]
		return membership.Found([]string{s.nodes[0].name}, []string{other.name})
	}
	var named []string
	for i := range s.nodes {
		if o := s.nodes[(n.rotate+i)%len(s.nodes)]; o != n {
			named = append(named, o.name)
		}
	}
	return membership.Addresses(named, n.disk.durable.others)
}

// whoIs is the machine at a place, nobody if it leads nowhere.
func (s *Sim) whoIs(v membership.Venue) int {
	if idx, ok := s.addresses[v.Addresses[0]]; ok {
		return idx
	}
	return s.machineNamed(v.Addresses[0])
}

// join asks to be let in.
func (s *Sim) join(n *node, e event) {
	if !n.up || n.core != nil || e.gen != n.chain {
		return
	}
	to := int(e.n) - 1
	if to == nobody {
		v, ok := n.search.Next()
		if !ok {
			n.search.Begin(s.venues(n))
			v, _ = n.search.Next()
		}
		n.asks, n.sentOn, to = v, 0, s.whoIs(v)
	}
	switch to {
	case nobody:
	case n.idx:
		s.notLetIn(n, membership.Own)
		return
	case stranger:
		s.notLetIn(n, membership.Elsewhere)
		return
	default:
		if s.opt.Messages {
			s.tracef(n, "asks %s to be let in", s.nodes[to].name)
		}
		j := &ring.Join{Member: ring.Member{Name: n.asName(), Incarnation: n.inc, Addresses: n.place.Told, Witness: n.witness, Nonce: n.entry.Number()}}
		if n.lead {
			j.Member.OnJoin = ring.Lead
		}
		s.transmit(n.idx, to, event{kind: evRPC, p: &rpc{from: n.idx, nonce: n.entry.Number(), request: election.Request{Join: j}}}, true)
	}
	// The connection breaks if nobody answers.
	s.askNext(n, s.between(n.rnd, 100*time.Millisecond, 250*time.Millisecond)+s.roundPause(n))
}

// roundPause is the pause of a joiner after the question that it has asked: none
// in the middle of a round.
func (s *Sim) roundPause(n *node) time.Duration {
	if len(n.search.Left()) > 0 {
		return 0
	}
	return n.search.Pause()
}

// notLetIn goes on with the search, or ends the process as the daemon ends, which
// its supervisor starts again.
func (s *Sim) notLetIn(n *node, r membership.Refusal) {
	if n.asks.Final(r) {
		s.stats.count("join: refused for good", 1)
		s.exit(n, "not let in for good")
		s.restartAfter(n, s.between(n.rnd, 20*time.Millisecond, 400*time.Millisecond))
		return
	}
	s.askNext(n, s.between(n.rnd, time.Millisecond, 5*time.Millisecond)+s.roundPause(n))
}

// called takes a request at the machine that it was sent to.
func (s *Sim) called(n *node, e event) {
	c := e.p.(*rpc)
	if !n.power {
		return
	}
	c.hint = -1
	if !n.up || n.core == nil {
		c.err = election.ErrNotLeader
		s.transmit(n.idx, c.from, event{kind: evReply, p: c}, true)
		return
	}
	req := c.request
	if c.op != nil {
		var ok bool
		if req, ok = c.op.make(n); !ok {
			c.err = ring.ErrNotMember
			s.transmit(n.idx, c.from, event{kind: evReply, p: c}, true)
			return
		}
	}
	s.request(n, req, c)
}

// replied takes the answer.
func (s *Sim) replied(n *node, e event) {
	c := e.p.(*rpc)
	if c.op != nil {
		s.operated(n, c)
		return
	}
	if !n.up || n.core != nil || c.nonce != n.entry.Number() {
		return
	}
	if c.err != nil {
		if s.opt.Messages {
			s.tracef(n, "is not let in by %s: %v", s.nodes[e.peer].name, c.err)
		}
		// Who does not lead asks the leader for it.
		if n.sentOn++; c.hint >= 0 && c.hint != n.idx && n.sentOn < 64 {
			s.joinTry(n, s.between(n.rnd, time.Millisecond, 5*time.Millisecond), c.hint)
			return
		}
		s.notLetIn(n, refused(c.err))
		return
	}
	for _, o := range s.nodes {
		if o != n && o.core != nil && o.id == c.id {
			s.fail("ids", "%s and %s both run as member %d", o.name, n.name, c.id)
			return
		}
	}
	s.stats.count("join: completed", 1)
	s.tracef(n, "joined as member %d", c.id)
	n.gen++
	n.disk.dropRing()
	n.unborn, s.entered[c.id] = c.unborn, true
	n.disk.durable.id, n.past, n.restored = c.id, nil, false
	s.makeCore(n, c.id, election.Recovered{})
}

// refused is what an error says to a joiner.
func refused(err error) membership.Refusal {
	if errors.Is(err, ring.ErrNameInUse) || errors.Is(err, ring.ErrInvalid) {
		return membership.Never
	}
	return membership.NotNow
}

// removed drops the storage and joins again, as the daemon does.
func (s *Sim) removed(n *node, x election.Removed) {
	s.stats.count("process: removed from the ring", 1)
	s.tracef(n, "no member any more (epoch %d): %s", x.Epoch, x.Why)
	if x.Unborn {
		s.unborn(n)
	} else if _, in := s.ledger.Member(n.id); in {
		s.fail("G4", "%s drops its log as member %d, which it still is: %s", n.name, n.id, x.Why)
		return
	}
	n.gen++
	s.letGo[n.id], s.ended[n.id] = !x.Unborn, s.now
	n.disk.dropRing()
	n.disk.durable.others = nil
	for _, m := range n.core.State().Members {
		if m.ID != n.id {
			n.disk.durable.others = append(n.disk.durable.others, m.Addresses...)
		}
	}
	n.core, n.id = nil, 0
	s.claimOver(n)
	n.relink, n.tell, n.peers, n.refs, n.probes, n.held = nil, nil, nil, nil, nil, nil
	s.monitorUnlink(n)
	switch {
	case s.sharesName(n):
		s.retireMachine(n, "evicted, and the name is its original's")
	case membership.After(x.Unborn, n.leave.until > 0) == membership.End:
		s.exit(n, "left")
		s.restartAfter(n, n.leave.back)
	case n.rnd.IntN(3) == 0:
		s.exit(n, "evicted")
		s.restartAfter(n, s.between(n.rnd, 20*time.Millisecond, 400*time.Millisecond))
	default:
		s.beginJoin(n)
	}
}
