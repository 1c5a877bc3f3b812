package sim

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
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
	// known is where the addresses of the targets lead, by id.
	known map[uint64][]ring.Path
	self  uint64
	// settings are those of its newest link.
	settings ring.Settings
	slow     time.Duration // it is stopped for up to so long, again and again
	// barred counts the faults that keep it from being started.
	barred int
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
	if n.mon.barred > 0 {
		s.tellMonitorRuns(n, false)
		return
	}
	n.mon.gen++
	n.mon.up, n.mon.paused, n.mon.inbox = true, false, nil
	n.mon.watch, n.mon.known = s.newWatch(), map[uint64][]ring.Path{}
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

// monitorBar kills a monitor and keeps the coordinator from starting another,
// until unbar is called.
func (s *Sim) monitorBar(n *node) (unbar func()) {
	n.mon.barred++
	s.monitorKill(n)
	s.ran(n)
	s.tellMonitorRuns(n, false)
	return func() {
		n.mon.barred--
		s.ran(n)
		if n.mon.barred == 0 && n.up {
			s.monitorStart(n)
			s.tellMonitorRuns(n, true)
		}
	}
}

// tellMonitorRuns lets the coordinator learn a moment later whether its monitor
// runs.
func (s *Sim) tellMonitorRuns(n *node, runs bool) {
	e := event{at: s.now + int64(s.between(n.rnd, time.Millisecond, 40*time.Millisecond)), kind: evMonRuns, node: int16(n.idx), gen: n.life}
	if runs {
		e.n = 1
	}
	s.q.push(e)
}

func (s *Sim) monitorRuns(n *node, e event) {
	if e.gen == n.life && n.core != nil && (e.n == 1) == (n.mon.barred == 0) {
		n.core.MonitorRuns(n.clock.local(s.now), e.n == 1)
		s.stepped(n)
	}
}

// monitorUnlink ends the links of a coordinator that is no member any more.
func (s *Sim) monitorUnlink(n *node) {
	if n.mon.up {
		n.mon.watch, n.mon.known = s.newWatch(), map[uint64][]ring.Path{}
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
	n.mon.self, n.mon.settings = n.id, r.Settings
	for _, m := range r.Successors {
		l.Targets = append(l.Targets, detector.Target{ID: m.ID, Incarnation: m.Incarnation, Name: m.Name, Addresses: m.Addresses})
	}
	now := n.clock.local(s.now)
	s.monitorDo(n, n.mon.watch.Relink(now, l))
	n.mon.hang.Configure(now, r.Settings.HangAfter(), r.Settings.BeatEvery())
	if at := n.mon.hang.NextTick(); at != mono.Never {
		s.q.push(event{at: n.clock.trueAt(at), kind: evHang, node: int16(n.idx), gen: n.mon.gen, n: uint64(at)})
	}
}

// monitorWake sets the monitor's timer.
func (s *Sim) monitorWake(n *node) {
	next := n.mon.watch.NextTick()
	if next == mono.Never {
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
		case detector.Open, detector.Close, detector.Move:
			delete(n.mon.known, a.Target.ID)
		case detector.Ping:
			s.ping(n, a)
		case detector.Say:
			r := a.Opinion
			if !a.Repeat {
				s.stats.count("monitor: "+r.String()+" "+string(r.Evidence()), 1)
				s.tracef(n, "monitor: %s is %s: %s", a.Target.Name, r, a.Reason)
			}
			if g := r.Grant(); g != 0 {
				s.stats.count("monitor: testimonies", 1)
				s.tracef(n, "monitor: the grant %x to %s has ended", g, a.Target.Name)
			}
			if r.Evidence() != "" {
				s.accuse(n, a)
			}
			s.q.push(event{at: s.now + int64(s.between(n.rnd, 30*time.Microsecond, 200*time.Microsecond)), kind: evReport, node: int16(n.idx), gen: n.gen, p: &r})
		}
	}
	if n.mon.slow > 0 && n.rnd.IntN(8) == 0 {
		s.monitorPause(n, s.between(n.rnd, 0, n.mon.slow))
	}
	s.monitorWake(n)
}

// ping is a monitor's probe, with its word if it is for the leader. path is the
// number of the address that it was sent to.
type ping struct {
	target     detector.Target
	path       int
	from       uint64
	grant, ack uint64
	length     time.Duration
}

func (s *Sim) ping(n *node, a detector.Action) {
	s.asks(n, a.Target, a.Seq)
	for i, addr := range a.Target.Addresses {
		to := s.leads(n, addr)
		if to == n.idx {
			n.mon.know(a.Target, i, ring.Path{Outcome: ring.PathOwn}) // never dialled
		}
		if to == stranger {
			p := &pong{target: a.Target, path: i, answer: strange(wanted(a.Target)), seq: a.Seq}
			s.q.push(event{at: s.now + int64(strangerDelay), kind: evPong, node: int16(n.idx), gen: n.mon.gen, p: p})
		}
		if to < 0 || to == n.idx {
			continue
		}
		s.stats.counts[cPings]++
		p := &ping{a.Target, i, n.mon.self, a.Grant, a.Ack, a.Length}
		s.transmit(n.idx, to, event{kind: evPing, gen: n.mon.gen, n: a.Seq, p: p}, false)
	}
}

// pong is what a coordinator answers to a ping.
type pong struct {
	target    detector.Target
	path      int
	answer    ring.Answer
	seq, term uint64
}

// answer is what a coordinator says of itself.
func (n *node) answer() ring.Answer {
	a := ring.Answer{Cluster: "sim", Name: n.asName(), ID: n.id, Incarnation: n.inc}
	if n.id != 0 {
		a.RingID = "r1"
	}
	return a
}

// pinged answers a ping at its target. What the ping says reaches the core a
// little later, in order.
func (s *Sim) pinged(n *node, e event) {
	if !n.power {
		return
	}
	t := e.p.(*ping)
	if !n.up {
		s.transmit(n.idx, int(e.peer), event{kind: evRefused, gen: e.gen, p: &refusal{target: t.target, path: t.path}}, true)
		return
	}
	p := &pong{target: t.target, path: t.path, answer: n.answer(), seq: e.n}
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
	now := n.clock.local(s.now)
	w := wanted(p.target)
	n.mon.know(p.target, p.path, ring.Path{Outcome: ring.PathAnswered, Answer: p.answer})
	if w.Match(p.answer) == ring.Itself {
		s.answered(n, p.target, p.seq)
		s.monitorDo(n, n.mon.watch.Pong(now, p.target.ID, p.seq, p.term))
		return
	}
	s.judgePaths(n, p.target)
}

// judgePaths tells the detector what all paths to a target say together.
func (s *Sim) judgePaths(n *node, t detector.Target) {
	now := n.clock.local(s.now)
	switch found := wanted(t).Look(n.mon.known[t.ID]); {
	case found.Refused:
		s.monitorDo(n, n.mon.watch.Refused(now, t.ID))
	case found.Ended():
		s.monitorDo(n, n.mon.watch.Foreign(now, t.ID))
	}
}

func wanted(t detector.Target) ring.Wanted {
	return ring.Wanted{Cluster: "sim", RingID: "r1", Name: t.Name, ID: t.ID, Incarnation: t.Incarnation}
}

// know notes where an address of a target leads.
func (m *monitor) know(t detector.Target, path int, p ring.Path) {
	if len(m.known[t.ID]) != len(t.Addresses) {
		m.known[t.ID] = make([]ring.Path, len(t.Addresses))
	}
	m.known[t.ID][path] = p
}

// refusal is a connection that a host refused, or (broken) a stream that broke.
type refusal struct {
	target detector.Target
	path   int
	broken bool
}

// refused takes a refusal or the end of a stream.
func (s *Sim) refused(n *node, e event) {
	r := e.p.(*refusal)
	if !r.broken {
		n.mon.know(r.target, r.path, ring.Path{Outcome: ring.PathRefused})
		s.judgePaths(n, r.target)
		return
	}
	delete(n.mon.known, r.target.ID)
	s.monitorDo(n, n.mon.watch.Broken(n.clock.local(s.now), r.target.ID))
	if a := n.mon.watch.Newest(r.target.ID); a.Seq != 0 {
		s.ping(n, a) // redials at once
	}
}

// broken is the end of the streams to a machine's coordinator.
func broken(n *node) *refusal {
	return &refusal{target: detector.Target{ID: n.id, Incarnation: n.inc, Name: n.name}, broken: true}
}

// streamsBreak resets the streams that other monitors hold to a process that
// has ended.
func (s *Sim) streamsBreak(n *node) {
	if n.id == 0 || !n.power {
		return
	}
	for _, o := range s.nodes {
		if o != n && o.mon.up && o.mon.watch.Watches(n.id) {
			s.transmit(n.idx, o.idx, event{kind: evRefused, gen: o.mon.gen, p: broken(n)}, true)
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
	o := &obituary{cert: election.Certificate{Name: n.name, ID: n.id, Incarnation: n.inc, Exit: why}, boot: n.boot}
	for _, t := range n.tell {
		for _, a := range t.Addresses {
			if to := s.leads(n, a); to >= 0 && to != n.idx && !slices.Contains(o.to, to) {
				o.to = append(o.to, to)
			}
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
	next := n.mon.hang.NextTick()
	if next == mono.Never || uint64(next) != e.n {
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
	if at := n.mon.hang.NextTick(); at != mono.Never {
		s.q.push(event{at: max(n.clock.trueAt(at), s.now+1), kind: evHang, node: int16(n.idx), gen: n.mon.gen, n: uint64(at)})
	}
}
