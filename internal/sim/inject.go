package sim

import (
	"math/bits"
	"slices"
	"time"

	"github.com/arc-ring/arc/ring"
)

// active is a fault that strikes.
type active struct {
	f    *Fault
	over bool
	undo func()
}

// strike begins a fault, or arms it.
func (s *Sim) strike(f *Fault) {
	if s.calm {
		return
	}
	if f.On != "" {
		s.armed = append(s.armed, f)
		return
	}
	s.inject(f, -1)
}

// trigger sets armed faults off. They strike a moment later, since the step
// that set them off is still under way.
func (s *Sim) trigger(what string, n *node) {
	if len(s.armed) == 0 || n == nil {
		return
	}
	kept := s.armed[:0]
	for _, f := range s.armed {
		if f.On != what {
			kept = append(kept, f)
			continue
		}
		s.stats.count("faults: set off by "+what, 1)
		in := int64(0)
		if n.rnd.IntN(2) == 0 {
			in = n.rnd.Int64N(int64(2 * time.Millisecond))
		}
		s.q.push(event{at: s.now + in, kind: evFault, node: int16(n.idx), n: 1, p: f})
	}
	s.armed = kept
}

// until lets a fault end after its time, or when the quiet time begins.
func (s *Sim) until(f *Fault, undo func()) {
	a := &active{f: f, undo: undo}
	s.active = append(s.active, a)
	s.q.push(event{at: s.now + int64(f.For), kind: evFaultEnd, p: a})
}

func (s *Sim) undo(a *active) {
	if a.over {
		return
	}
	a.over = true
	s.disturbedAt = s.now
	a.undo()
}

func (s *Sim) inject(f *Fault, subject int) {
	if s.calm {
		return
	}
	n := s.resolve(f.Who, subject)
	o := s.resolve(f.With, subject)
	if o == n && needsTwo(f.Kind) {
		o = s.nodes[(n.idx+1)%len(s.nodes)]
	}
	s.stats.count("fault: "+string(f.Kind), 1)
	s.tracef(n, "FAULT %s", f)
	s.disturbedAt = s.now
	switch f.Kind {
	case Kill:
		if f.Mid && n.core != nil && !n.paused {
			n.killMid = f
			return
		}
		s.kill(n, f)
	case Bounce:
		if f.Who != TheSubject {
			n = s.someVoter(f.N)
		}
		if n != nil {
			if f.N%2 == 0 { // its monitor too: nobody certifies it
				s.monitorKill(n)
			}
			s.kill(n, f)
		}
	case KillTwo:
		s.kill(n, f)
		s.kill(o, f)
	case Wear:
		s.kill(n, f)
		g := *f
		g.Kind, g.On, g.Who, g.Mid = Kill, "certified", TheSubject, false
		s.armed = append(s.armed, &g)
	case KillAll:
		for _, n := range s.nodes {
			s.kill(n, f)
		}
	case KillBoth:
		s.monitorKill(n)
		s.kill(n, f)
	case Crash:
		s.crash(n, f)
	case CrashAll:
		for _, n := range s.nodes {
			s.crash(n, f)
		}
	case Pause:
		if f.Mid && n.core != nil && !n.paused {
			n.pauseMid = f.For
			return
		}
		s.pause(n, f.For)
	case PauseMachine:
		s.pause(n, f.For)
		s.monitorPause(n, f.For)
	case PauseMonitor:
		s.monitorPause(n, f.For)
	case SlowMonitor:
		d := time.Duration(f.N) * time.Millisecond
		n.mon.slow = d
		s.until(f, func() { n.mon.slow = 0; s.ran(n) })
	case NoMonitor:
		s.until(f, s.monitorBar(n))
	case KillMonitor:
		if n.mon.up {
			s.monitorKill(n)
			s.q.push(event{at: s.now + int64(s.between(n.rnd, 2*time.Millisecond, 60*time.Millisecond)), kind: evMonStart, node: int16(n.idx), gen: n.life})
		}
	case FullDisk:
		n.disk.full = true
		s.until(f, func() { n.disk.full = false; s.ran(n); s.start(n) })
	case SlowDisk:
		d := time.Duration(f.N) * time.Millisecond
		n.disk.slow += d
		s.until(f, func() { n.disk.slow -= d; s.unstick(n); s.ran(n) })
	case StuckDisk:
		d := time.Duration(f.N) * time.Millisecond
		n.disk.stuck += d
		s.until(f, func() { n.disk.stuck -= d; s.unstick(n); s.ran(n) })
	case ClockRate:
		n.clock.setRate(s.now, int64(f.N))
		n.wakeAt, n.mon.tickAt = forever, forever
		if n.core != nil {
			s.noteClaim(n)
			s.wake(n)
		}
		if n.mon.up {
			s.monitorWake(n)
		}
	case OneNetwork:
		s.loseNetwork(f, n)
	case Mistake:
		s.mistake(n, o, uint64(f.N))
	case CloneDisk, RestoreDisk:
		s.copyDisk(f, n)
	case WallClock:
		n.wall += int64(time.Duration(f.N) * time.Second)
	case Usurp, Renumber, Float:
		s.misdirect(n, o, f)
	case OpJoin, OpLeave, OpEvict, OpHandover, OpSettings, OpImpostor:
		s.operate(f, n)
	default:
		s.injectNet(f, n, o)
	}
}

func (s *Sim) injectNet(f *Fault, n, o *node) {
	var pairs [][2]int
	others := func(both, out bool) {
		for i := range s.nodes {
			if i != n.idx && (both || out) {
				pairs = append(pairs, [2]int{n.idx, i})
			}
			if i != n.idx && (both || !out) {
				pairs = append(pairs, [2]int{i, n.idx})
			}
		}
	}
	switch f.Kind {
	case Cut, Flap:
		pairs = [][2]int{{n.idx, o.idx}, {o.idx, n.idx}}
	case CutWatcher:
		if f.N%3 != 1 {
			pairs = append(pairs, [2]int{n.idx, o.idx})
		}
		if f.N%3 != 2 {
			pairs = append(pairs, [2]int{o.idx, n.idx})
		}
		if f.N >= 3 {
			s.streamBreaks(o, n)
		}
	case CutSome:
		// As many voters as the majority can spare.
		spare := (len(s.ledger.voters) - 1) / 2
		for i := range s.nodes {
			o := s.nodes[(i+f.N)%len(s.nodes)]
			if o != n && spare > 0 && slices.Contains(s.ledger.voters, o.id) {
				pairs = append(pairs, [2]int{n.idx, o.idx}, [2]int{o.idx, n.idx})
				spare--
			}
		}
	case CutOneWay:
		pairs = [][2]int{{n.idx, o.idx}}
	case Isolate, Slow, Lossy:
		others(true, true)
		if f.Kind == Isolate && f.N == 1 {
			if w := s.predecessor(n.id); w >= 0 {
				s.streamBreaks(s.nodes[w], n)
			}
		}
	case IsolateOneWay:
		others(false, true)
	case Deaf:
		others(false, false)
	case Graph:
		pairs = s.graphCuts(f.N)
	case Partition, Doubling:
		for i := range s.nodes {
			for j := range s.nodes {
				if i != j && (f.Kind == Doubling || f.N>>i&1 != f.N>>j&1) {
					pairs = append(pairs, [2]int{i, j})
				}
			}
		}
		if f.Kind == Partition {
			s.stats.count("fault: partition with a minority of "+string(rune('0'+min(bits.OnesCount(uint(f.N)), len(s.nodes)-bits.OnesCount(uint(f.N))))), 1)
		}
	}
	change := func(on int) {
		for _, p := range pairs {
			l := s.link(p[0], p[1])
			switch f.Kind {
			case Slow:
				l.delay = max(0, l.delay+time.Duration(on)*time.Duration(f.N)*time.Millisecond)
			case Lossy:
				l.loss = uint32(max(0, int(l.loss)+on*f.N))
			case Doubling:
				l.dup = uint32(max(0, int(l.dup)+on*f.N))
			default:
				if on > 0 {
					s.cutLink(p[0], p[1])
				} else {
					s.healLink(p[0], p[1])
				}
			}
			l.bad = max(l.bad, s.now)
			l.goodAt = s.now
		}
	}
	change(1)
	s.until(f, func() { change(-1) })
	if f.Kind == Flap {
		// Again, until the time of the first is over three times.
		if f.N < 3 {
			g := *f
			g.N++
			g.On = ""
			g.Who, g.With = Target(n.idx), Target(o.idx)
			s.q.push(event{at: s.now + int64(f.For) + n.rnd.Int64N(int64(f.For)+1000), kind: evFault, n: 1, p: &g})
		}
	}
}

// streamBreaks resets a monitor's stream to somebody who lives, as a firewall
// does.
func (s *Sim) streamBreaks(watcher, n *node) {
	if watcher.mon.up && watcher != n {
		s.q.push(event{at: s.now + 1, kind: evRefused, node: int16(watcher.idx), peer: int16(n.idx), gen: watcher.mon.gen, p: broken(n)})
	}
}

// kill ends a coordinator; it comes back after the fault's time.
func (s *Sim) kill(n *node, f *Fault) {
	if !n.up {
		return
	}
	s.exit(n, "signal: killed")
	s.comeBack(n, f)
}

func (s *Sim) crash(n *node, f *Fault) {
	if !n.power {
		return
	}
	s.powerOff(n)
	s.comeBack(n, f)
}

func (s *Sim) comeBack(n *node, f *Fault) {
	if f.Wipe && (s.world.Reckless || s.quorum(n.idx)) {
		s.stats.count("disk: wiped", 1)
		s.tracef(n, "its disk is lost")
		n.disk.wipe()
	}
	if f.Gone {
		n.out = true
		if s.world.Reckless || s.quorum(n.idx) {
			s.stats.count("process: gone through a quiet time", 1)
			return
		}
		n.out = false
	}
	s.until(f, func() { s.powerOn(n); s.start(n) })
}

// heal ends all faults: the quiet time begins.
func (s *Sim) heal() {
	s.calm = true
	s.armed = s.armed[:0]
	for _, a := range s.active {
		s.undo(a)
	}
	s.active = s.active[:0]
	for _, n := range s.nodes {
		n.killMid, n.pauseMid, n.leave.until = nil, 0, 0
		if n.paused {
			s.resume(n, n.gen)
		}
		if n.mon.paused {
			s.monitorStarts(n, event{n: 1, gen: n.mon.gen})
		}
		if !n.out && !n.spare {
			s.powerOn(n)
			s.start(n)
		}
	}
	s.healedAt = s.now
	s.demand = s.demanded()
	if !s.demand {
		s.stats.count("quiet times without a quorum", 1)
	}
	s.stats.count("quiet times", 1)
	s.tracef(nil, "QUIET: all faults end; a leader within %v, the ring closed within %v", s.leaderBound(), s.ringBound())
	s.leadAt, s.wholeAt, s.settled = 0, 0, false
	s.poll()
}

// storm ends the quiet time.
func (s *Sim) storm() {
	s.calm = false
	for _, n := range s.nodes {
		if n.out {
			n.out = false
			s.powerOn(n)
			s.start(n)
		}
	}
}

// leaderBound is how long after the end of all faults there must be a leader.
func (s *Sim) leaderBound() time.Duration {
	st, lease := s.boundSettings()
	interval, _ := st.Link(false)
	probe := max(2*interval, 50*time.Millisecond)
	return 4*lease + st.Detection(true) + 3*probe + time.Duration(8*len(s.nodes))*st.Stagger() + time.Second
}

// ringBound is how long after it the ring must be closed over the living.
func (s *Sim) ringBound() time.Duration {
	st, lease := s.boundSettings()
	return s.leaderBound() + 2*st.Detection(false) + 4*lease + 3*time.Second
}

// boundSettings are the slowest timings that may still be at work: those in
// force, and every promise that a restarted voter has to wait for.
func (s *Sim) boundSettings() (ring.Settings, time.Duration) {
	lease := s.ledger.longestLease(s.now - int64(20*time.Second))
	for _, n := range s.nodes {
		lease = max(lease, n.disk.durable.bound)
	}
	return s.ledger.settings, lease
}

// settle is how long the ring has to stay whole to count as whole: what was
// under way when the faults ended may still upset it.
func (s *Sim) settle() int64 {
	_, lease := s.boundSettings()
	return int64(2*lease + 500*time.Millisecond)
}

// poll looks whether the ring is whole again, until it has been for a while or
// has to be.
func (s *Sim) poll() {
	why, led := s.whole()
	if led && s.leadAt == 0 {
		s.leadAt = s.now
	}
	if s.demand && s.now <= s.healedAt+int64(4*(s.net.Base+s.net.Jitter)+40*time.Millisecond) && !s.demanded() {
		// What was still under way, or waited for a stopped process, counts as
		// the faults' doing.
		s.demand = false
		s.stats.count("quiet times without a quorum", 1)
	}
	switch {
	case why != "" || s.ledger.epoch != s.wholeEpoch:
		s.wholeAt = 0
	case s.wholeAt != 0 && s.now >= s.wholeAt+s.settle():
		s.settled = true
		s.wholeEvicted = s.ledger.evicted
		took := time.Duration(s.wholeAt - s.healedAt)
		s.tracef(nil, "WHOLE after %v", took)
		s.checkOutages(s.nodes[s.leaderNow()])
		s.wish()
		if s.demand {
			s.stats.HealWorst = max(s.stats.HealWorst, took)
			s.stats.HealShare = max(s.stats.HealShare, float64(took)/float64(s.ringBound()))
		}
		return
	}
	if why == "" && s.wholeAt == 0 {
		s.wholeAt, s.wholeEpoch = s.now, s.ledger.epoch
	}
	if s.demand && s.leadAt == 0 && s.now > s.healedAt+int64(s.leaderBound()) {
		if !s.world.Demand && !s.mayLead() && !s.foundersThere() {
			// An eviction from before was committed by the first who was elected.
			s.demand = false
			s.stats.count("quiet times in which nobody may lead", 1)
			s.q.push(event{at: s.now + int64(20*time.Millisecond), kind: evPoll})
			return
		}
		s.fail("G6", "%v after all faults ended there is no leader: %s", s.leaderBound(), why)
		return
	}
	if s.demand && s.wholeAt == 0 && s.now > s.healedAt+int64(s.ringBound()) {
		s.fail("G6", "%v after all faults ended the ring is not whole: %s", s.ringBound(), why)
		return
	}
	s.q.push(event{at: s.now + int64(20*time.Millisecond), kind: evPoll})
}

// quietEnd checks that a whole ring at peace stayed as it was.
func (s *Sim) quietEnd() {
	s.unanswered()
	s.pathsQuiet()
	if s.settled && s.demand {
		why, led := s.whole()
		if !led && s.ledger.settings.LeaderGrants && s.blinks < 5 {
			// A grant is shorter than a late timer may be: the claim may lapse for
			// a moment, and comes back with the next probe.
			s.blinks++
			s.q.push(event{at: s.now + int64(10*time.Millisecond), kind: evQuietEnd})
			return
		}
		s.blinks = 0
		if why != "" {
			s.fail("G6", "the ring was whole %v after the faults, and is not any more: %s", time.Duration(s.wholeAt-s.healedAt), why)
		} else if s.ledger.evicted != s.wholeEvicted {
			s.fail("G6", "somebody was evicted while nothing was wrong")
		} else if s.ledger.epoch != s.wholeEpoch && len(s.world.Leads) == 0 && !s.operating() {
			s.fail("G6", "the ring changed from epoch %d to %d while nothing was wrong", s.wholeEpoch, s.ledger.epoch)
		}
	}
	s.storm()
}
