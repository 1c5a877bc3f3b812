package sim

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/monitor/detector"
	"github.com/arc-ring/arc/ring"
)

// monitor is a machine's monitor process. Whom it looks at and what it thinks
// of them is the daemon's own detector.
type monitor struct {
	up     bool
	paused bool
	gen    uint32
	watch  *detector.Watch
	hang   detector.Hang
	tickAt int64
	linkAt int64 // when the newest link arrives
	inbox  []event
	until  int64 // end of the pause
	self   uint64
	slow   time.Duration // it is stopped for up to so long, again and again
}

// obituary is a monitor's work once its coordinator is gone.
type obituary struct {
	cert  election.Certificate
	to    []int
	acked []bool
	tries int
	boot  uint32
}

// certTries bounds how often a certificate is handed in.
const certTries = 7

func (s *Sim) monitorStart(n *node) {
	if !n.power || !n.up {
		return
	}
	n.mon.gen++
	n.mon.up, n.mon.paused, n.mon.inbox = true, false, nil
	n.mon.watch = s.newWatch()
	n.mon.hang = detector.Hang{}
	n.mon.self, n.mon.slow = 0, 0
	n.mon.tickAt = forever
	s.monitorLink(n)
}

// newWatch numbers the grants of every monitor apart.
func (s *Sim) newWatch() *detector.Watch {
	s.watches++
	return detector.NewWatch(s.watches << 32)
}

func (s *Sim) monitorKill(n *node) {
	n.mon.up, n.mon.paused, n.mon.inbox = false, false, nil
	n.mon.gen++
}

// monitorUnlink ends the links of a coordinator that is no member any more.
func (s *Sim) monitorUnlink(n *node) {
	if n.mon.up {
		n.mon.watch = s.newWatch()
		n.mon.tickAt = forever
	}
}

func (s *Sim) monitorPause(n *node, d time.Duration) {
	if !n.mon.up || n.mon.paused {
		return
	}
	n.mon.paused, n.mon.until = true, s.now+int64(d)
	s.stats.count("monitor: pauses", 1)
	s.q.push(event{at: n.mon.until, kind: evMonStart, node: int16(n.idx), gen: n.mon.gen, n: 1})
}

// monitorStarts is the end of a pause (n 1), or a new process.
func (s *Sim) monitorStarts(n *node, e event) {
	if e.n == 0 {
		if n.up && !n.mon.up && e.gen == n.life {
			s.stats.count("monitor: restarted", 1)
			s.monitorStart(n)
		}
		return
	}
	if e.gen != n.mon.gen || !n.mon.paused {
		return
	}
	n.mon.paused = false
	at := s.now
	for _, e := range n.mon.inbox {
		at += 1 + n.rnd.Int64N(int64(10*time.Microsecond))
		e.at = at
		s.q.push(e)
	}
	n.mon.inbox = nil
	n.mon.tickAt = forever
	s.monitorWake(n)
}

// monitorLink puts the newest link in the monitor's queue.
func (s *Sim) monitorLink(n *node) {
	if n.relink == nil || !n.mon.up {
		return
	}
	// The queue keeps the order.
	n.mon.linkAt = max(n.mon.linkAt+1, s.now+int64(s.between(n.rnd, 50*time.Microsecond, 400*time.Microsecond)))
	s.q.push(event{at: n.mon.linkAt, kind: evMonLink, node: int16(n.idx), gen: n.mon.gen, p: n.relink})
}

func (s *Sim) monitorLinked(n *node, r *election.Relink) {
	l := detector.Link{Epoch: r.Epoch, Term: r.Term, Leader: r.LeaderID}
	l.LeaderTiming.Interval, l.LeaderTiming.Misses = r.Settings.Link(true)
	l.OrdinaryTiming.Interval, l.OrdinaryTiming.Misses = r.Settings.Link(false)
	l.GrantLength = r.Settings.GrantLength()
	n.mon.self = n.id
	for _, m := range r.Successors {
		l.Targets = append(l.Targets, detector.Target{ID: m.ID, Incarnation: m.Incarnation, Name: m.Name, Addresses: m.Addresses})
	}
	now := n.clock.local(s.now)
	s.monitorDo(n, n.mon.watch.Relink(now, l))
	n.mon.hang.Configure(now, r.Settings.HangAfter())
	if at, ok := n.mon.hang.NextTick(); ok {
		s.q.push(event{at: n.clock.trueAt(at), kind: evHang, node: int16(n.idx), gen: n.mon.gen, n: uint64(at)})
	}
}

// monitorWake sets the monitor's timer.
func (s *Sim) monitorWake(n *node) {
	next, ok := n.mon.watch.NextTick()
	if !ok {
		return
	}
	at := max(n.clock.trueAt(next), s.now) + int64(1000+n.rnd.Uint64()%100_000)
	if n.rnd.IntN(512) == 0 {
		at += n.rnd.Int64N(int64(n.lazy))
	}
	if at < n.mon.tickAt {
		n.mon.tickAt = at
		s.q.push(event{at: at, kind: evMonTick, node: int16(n.idx), gen: n.mon.gen})
	}
}

func (s *Sim) monitorTick(n *node, e event) {
	if e.at != n.mon.tickAt {
		return
	}
	n.mon.tickAt = forever
	s.monitorDo(n, n.mon.watch.Tick(n.clock.local(s.now)))
}

// monitorDo carries out what the detector asks for.
func (s *Sim) monitorDo(n *node, actions []detector.Action) {
	for _, a := range actions {
		switch a.Kind {
		case detector.Ping:
			s.ping(n, a)
		case detector.Suspected, detector.Cleared, detector.Doubted:
			if !a.Repeat {
				s.stats.count("monitor: "+a.Kind.String()+" "+string(a.Evidence), 1)
				s.tracef(n, "monitor: %s is %s: %s", a.Target.Name, a.Kind, a.Reason)
			}
			if a.Grant != 0 {
				s.stats.count("monitor: testimonies", 1)
				s.tracef(n, "monitor: the grant %x to %s has ended", a.Grant, a.Target.Name)
			}
			r := &election.Suspicion{ID: a.Target.ID, Incarnation: a.Target.Incarnation, Term: a.Term, Evidence: ring.Evidence(a.Evidence), Grant: a.Grant,
				Cleared: a.Kind == detector.Cleared, Doubt: a.Kind == detector.Doubted}
			s.q.push(event{at: s.now + int64(s.between(n.rnd, 30*time.Microsecond, 200*time.Microsecond)), kind: evReport, node: int16(n.idx), gen: n.gen, p: r})
		}
	}
	if n.mon.slow > 0 && n.rnd.IntN(8) == 0 {
		s.monitorPause(n, s.between(n.rnd, 0, n.mon.slow))
	}
	s.monitorWake(n)
}

// ping is a monitor's probe, with its word if it is for the leader.
type ping struct {
	target     detector.Target
	from       uint64
	grant, ack uint64
	length     time.Duration
}

func (s *Sim) ping(n *node, a detector.Action) {
	if to := s.machineAt(a.Target.Addresses); to >= 0 {
		s.stats.counts[cPings]++
		p := &ping{a.Target, n.mon.self, a.Grant, a.Ack, a.Length}
		s.transmit(n.idx, to, event{kind: evPing, gen: n.mon.gen, n: a.Seq, p: p}, false)
	}
}

// pong is what a coordinator answers to a ping.
type pong struct {
	target, id, inc, seq, term uint64
}

// pinged answers a ping at its target. What the ping says reaches the core a
// little later, in order.
func (s *Sim) pinged(n *node, e event) {
	if !n.power {
		return
	}
	t := e.p.(*ping)
	if !n.up {
		s.transmit(n.idx, int(e.peer), event{kind: evRefused, gen: e.gen, n: t.target.ID}, true)
		return
	}
	p := &pong{target: t.target.ID, id: n.id, inc: n.inc, seq: e.n}
	if n.core != nil {
		p.term = n.core.State().Term
	}
	if n.core != nil && t.grant != 0 && t.from != 0 && t.target.ID == n.id {
		at := s.now + int64(s.between(n.rnd, 2*time.Microsecond, 60*time.Microsecond))
		if n.rnd.IntN(256) == 0 {
			at += n.rnd.Int64N(int64(n.lazy))
		}
		n.pingAt = max(n.pingAt+1, at)
		w := &election.Ping{From: t.from, Seq: e.n, Grant: t.grant, Length: t.length, Ack: t.ack, At: n.clock.local(s.now)}
		s.q.push(event{at: n.pingAt, kind: evPinged, node: int16(n.idx), gen: n.gen, p: w})
	}
	s.transmit(n.idx, int(e.peer), event{kind: evPong, gen: e.gen, p: p}, false)
}

func (s *Sim) ponged(n *node, e event) {
	p := e.p.(*pong)
	s.monitorDo(n, n.mon.watch.Pong(n.clock.local(s.now), p.target, p.seq, p.inc, p.term))
}

// refused takes a broken stream (n.peer has its target) or a refusal.
func (s *Sim) refused(n *node, e event) {
	now := n.clock.local(s.now)
	if t, broken := e.p.(*detector.Target); broken {
		s.monitorDo(n, n.mon.watch.Broken(now, t.ID))
		if a := n.mon.watch.Newest(t.ID); a.Seq != 0 {
			s.ping(n, a) // redials at once
		}
		return
	}
	s.monitorDo(n, n.mon.watch.Refused(now, e.n))
}

// streamsBreak resets the streams that other monitors hold to a process that
// has ended.
func (s *Sim) streamsBreak(n *node) {
	if n.id == 0 || !n.power {
		return
	}
	for _, o := range s.nodes {
		if o != n && o.mon.up && slices.Contains(o.mon.watch.Watched(), n.id) {
			t := &detector.Target{ID: n.id, Incarnation: n.inc, Name: n.name, Addresses: n.addrs}
			s.transmit(n.idx, o.idx, event{kind: evRefused, gen: o.mon.gen, n: n.id, p: t}, true)
		}
	}
}

// monitorOrphan is the end of a monitor's coordinator: it certifies that, and
// ends too.
func (s *Sim) monitorOrphan(n *node, why string) {
	s.streamsBreak(n)
	m := &n.mon
	if !m.up {
		return
	}
	m.up = false
	m.gen++
	if n.id == 0 || len(n.tell) == 0 {
		return
	}
	o := &obituary{cert: election.Certificate{Name: n.name, ID: n.id, Incarnation: n.inc, Exit: why, Clean: true}, boot: n.boot}
	for _, t := range n.tell {
		if to := s.machineAt(t.Addresses); to >= 0 && to != n.idx {
			o.to = append(o.to, to)
		}
	}
	o.acked = make([]bool, len(o.to))
	at := s.now
	if m.paused {
		at = max(at, m.until)
	}
	at += int64(s.between(n.rnd, 800*time.Microsecond, 3*time.Millisecond))
	s.q.push(event{at: at, kind: evCertSend, node: int16(n.idx), p: o})
}

func (s *Sim) certSend(n *node, e event) {
	o := e.p.(*obituary)
	if !n.power || o.boot != n.boot {
		return
	}
	missing := false
	for i, to := range o.to {
		if !o.acked[i] {
			missing = true
			s.transmit(n.idx, to, event{kind: evCertify, n: uint64(i), p: o}, true)
		}
	}
	if o.tries++; missing && o.tries < certTries {
		s.q.push(event{at: s.now + int64(20*time.Millisecond)<<o.tries, kind: evCertSend, node: int16(n.idx), p: o})
	}
}

func (s *Sim) certified(n *node, e event) {
	o := e.p.(*obituary)
	if !n.up || n.core == nil {
		return
	}
	if s.open(n.idx, int(e.peer)) {
		o.acked[e.n] = true
	}
	s.stats.count("certificates: delivered", 1)
	n.core.Certify(n.clock.local(s.now), o.cert)
	s.stepped(n)
}

// hangTick looks whether the own coordinator still answers.
func (s *Sim) hangTick(n *node, e event) {
	next, ok := n.mon.hang.NextTick()
	if !ok || uint64(next) != e.n {
		return
	}
	beat, hung := n.mon.hang.Tick(n.clock.local(s.now))
	if hung {
		s.stats.count("monitor: killed its hung coordinator", 1)
		s.exit(n, "killed by its monitor: it hung")
		s.restartAfter(n, s.between(n.rnd, 100*time.Millisecond, time.Second))
		return
	}
	if beat != 0 && n.up && !n.paused {
		n.mon.hang.Beat(beat)
	}
	if at, ok := n.mon.hang.NextTick(); ok {
		s.q.push(event{at: max(n.clock.trueAt(at), s.now+1), kind: evHang, node: int16(n.idx), gen: n.mon.gen, n: uint64(at)})
	}
}

// probeCall is the leader's own probe of a member.
type probeCall struct {
	p     election.Probe
	began int64
	gen   uint32
	over  bool
}

// probeAnswer is what came back: who answered, incarnation 0 if nobody listens.
type probeAnswer struct {
	call    *probeCall
	inc, id uint64
}

func (s *Sim) probe(n *node, p election.Probe) {
	c := &probeCall{p: p, began: s.now, gen: n.gen}
	s.stats.count("probes of leaders", 1)
	if to := s.machineAt(p.Addresses); to >= 0 {
		s.transmit(n.idx, to, event{kind: evProbe, p: c}, true)
	}
	s.q.push(event{at: n.clock.trueAt(n.clock.local(s.now) + p.Timeout), kind: evProbeEnd, node: int16(n.idx), gen: n.gen, p: c})
}

// probed is the arrival of a leader's probe at its target.
func (s *Sim) probed(n *node, e event) {
	if !n.power {
		return
	}
	a := probeAnswer{call: e.p.(*probeCall)}
	if n.up {
		a.inc, a.id = n.inc, n.id
	}
	s.transmit(n.idx, int(e.peer), event{kind: evProbed, p: &a}, true)
}

// probeEnded is its answer, or the end of its time.
func (s *Sim) probeEnded(n *node, e event) {
	if e.kind == evProbed {
		a := e.p.(*probeAnswer)
		s.probeResult(n, a.call, a)
		return
	}
	s.probeResult(n, e.p.(*probeCall), nil)
}

// probeResult hands the first of both to the core.
func (s *Sim) probeResult(n *node, c *probeCall, a *probeAnswer) {
	if c.over || c.gen != n.gen || n.core == nil {
		return
	}
	c.over = true
	r := election.ProbeResult{ID: c.p.ID, Incarnation: c.p.Incarnation, Outcome: election.Unanswered}
	switch {
	case a != nil && a.inc == 0:
		r.Outcome = election.NobodyListens
	case a != nil:
		r.Outcome, r.AnsweredBy, r.AnsweredAs = election.Answered, a.inc, a.id
	}
	s.tracef(n, "probed %d: %s", r.ID, outcome(r))
	s.noteProbe(n, r, c.began)
	n.core.Probed(n.clock.local(s.now), r)
	s.stepped(n)
}
