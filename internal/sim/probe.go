package sim

import (
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// probeCall is the leader's own probe of a member, over all its addresses.
type probeCall struct {
	p     election.Probe
	paths []ring.Path
	began int64
	gen   uint32
	over  bool
}

// probeTry is a probe at one address, and the answer.
type probeTry struct {
	call *probeCall
	path int
	got  ring.Path
}

func (s *Sim) probe(n *node, p election.Probe) {
	c := &probeCall{p: p, paths: make([]ring.Path, len(p.Addresses)), began: s.now, gen: n.gen}
	s.stats.count("probes of leaders", 1)
	for i, a := range p.Addresses {
		to := s.leads(n, a)
		if to == n.idx {
			c.paths[i].Outcome = ring.PathOwn
		}
		if to == stranger {
			t := &probeTry{call: c, path: i, got: ring.Path{Outcome: ring.PathAnswered, Answer: strange(p.Wanted)}}
			s.q.push(event{at: s.now + int64(strangerDelay), kind: evProbed, node: int16(n.idx), p: t})
		}
		if to >= 0 && to != n.idx {
			s.transmit(n.idx, to, event{kind: evProbe, p: &probeTry{call: c, path: i}}, true)
		}
	}
	s.q.push(event{at: n.clock.trueAt(n.clock.local(s.now).Add(p.Timeout)), kind: evProbeEnd, node: int16(n.idx), gen: n.gen, p: c})
}

// probed is the arrival of a leader's probe at its target.
func (s *Sim) probed(n *node, e event) {
	if !n.power {
		return
	}
	t := *e.p.(*probeTry)
	t.got.Outcome = ring.PathRefused
	if n.up {
		t.got = ring.Path{Outcome: ring.PathAnswered, Answer: n.answer()}
	}
	s.transmit(n.idx, int(e.peer), event{kind: evProbed, p: &t}, true)
}

// probeEnded takes an answer, or the end of the time for it. The core is told
// once the member itself answered, all addresses have, or the time is over.
func (s *Sim) probeEnded(n *node, e event) {
	if e.kind == evProbeEnd {
		s.probeResult(n, e.p.(*probeCall))
		return
	}
	t := e.p.(*probeTry)
	t.call.paths[t.path] = t.got
	if found := t.call.p.Wanted.Look(t.call.paths); found.Match == ring.Itself || !found.Open {
		s.probeResult(n, t.call)
	}
}

func (s *Sim) probeResult(n *node, c *probeCall) {
	if c.over || c.gen != n.gen || n.core == nil {
		return
	}
	c.over = true
	r := c.p.Result(c.paths)
	s.tracef(n, "probed %d: %s", r.Of.ID, outcome(r))
	if !r.Of.Recorded {
		s.noteProbe(n, r, c.began)
	}
	n.core.Probed(n.clock.local(s.now), r)
	s.stepped(n)
}
