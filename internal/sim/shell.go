package sim

import (
	"time"

	"github.com/arc-ring/arc/election"
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
	n.joins = 0
	s.joinNext(n, s.between(n.rnd, time.Millisecond, 40*time.Millisecond), n.rnd.IntN(len(s.nodes)))
}

// drawNumber draws a number for an entry.
func (n *node) drawNumber() uint64 { return n.rnd.Uint64() | 1 }

// joinNext sets when and whom a joiner asks next; what was set before is void.
func (s *Sim) joinNext(n *node, in time.Duration, whom int) {
	n.chain++
	s.q.push(event{at: s.now + int64(in), kind: evJoinTry, node: int16(n.idx), gen: n.chain, n: uint64(whom)})
}

// joinTry asks a machine, hopefully the leader's, to be let in.
func (s *Sim) joinTry(n *node, e event) {
	if !n.up || n.core != nil || e.gen != n.chain {
		return
	}
	to := int(e.n)
	if to == n.idx {
		to = (to + 1) % len(s.nodes)
	}
	n.joins++
	if s.opt.Messages {
		s.tracef(n, "asks %s to be let in", s.nodes[to].name)
	}
	if to != n.idx {
		j := &ring.Join{Member: ring.Member{Name: n.asName(), Incarnation: n.inc, Addresses: n.place.Told, Witness: n.witness, Nonce: n.entry.Number()}}
		if n.lead {
			j.Member.OnJoin = ring.Lead
		}
		s.transmit(n.idx, to, event{kind: evRPC, p: &rpc{from: n.idx, nonce: n.entry.Number(), request: election.Request{Join: j}}}, true)
	}
	// Nobody answered in time: ask somebody else.
	next := (to + 1) % len(s.nodes)
	if s.accepted(n) {
		next = 0 // the founder, and each of the others in turn
		if n.joins%2 == 1 {
			next = 1 + n.joins/2%(len(s.nodes)-1)
		}
	}
	s.joinNext(n, s.between(n.rnd, 100*time.Millisecond, 250*time.Millisecond), next)
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
		if c.hint >= 0 && c.hint != n.idx && n.joins < 64 {
			s.joinNext(n, s.between(n.rnd, time.Millisecond, 5*time.Millisecond), c.hint)
		}
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
