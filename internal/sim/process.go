package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/ring"
)

// inboxMost bounds what waits for a stopped process, as socket buffers do.
const inboxMost = 512

// node is one machine: its clock and disk, its coordinator and its monitor.
type node struct {
	idx   int
	name  string
	own   string           // its own address
	place membership.Place // what the coordinator was told of its addresses
	// floating: the machine has the floating address, or still thinks so.
	floating bool
	rnd      *rand.Rand
	clock    clock
	disk     disk
	wall     int64 // what the wall clock is wrong by
	witness  bool
	lead     bool // on_join = lead
	spare    bool // not in use until an operator starts it
	lazy     time.Duration
	crowd    int // starts so far
	// startedAt is when the present process was, bornAt its present core.
	startedAt, bornAt int64

	power bool // the machine is on

	// The coordinator process.
	up     bool
	paused bool
	gen    uint32 // grows with every start, end and change of the core
	life   uint32 // grows with every start
	inc    uint64
	core   Core
	id     uint64
	// unborn: it joined a ring that had no leader yet.
	unborn bool
	entry  membership.Entry
	chain  uint32 // of join tries
	boot   uint32 // of the machine
	inbox  []event
	// deferral holds back effects that nobody waits for.
	deferral election.Deferral
	deferred []deferred
	// held are effects that a pause in the midst of a step left over.
	held     []election.Effect
	wakeAt   int64
	refs     []pendingRef
	probes   []*probeCall
	relink   *election.Relink
	tell     []ring.Member
	peers    []uint64 // to whom messages travel; nil before the core said it
	meetings []meeting
	sent     int // messages, from Options.CountFrom on
	received int
	knows    uint64           // the newest declared term that it applied
	pingAt   int64            // when the newest watcher's word reaches the core
	asked    map[uint64]int64 // when it first asked a member for a sign of life since it heard of it
	told     told
	wrote    int64  // when its core last handed out a record
	named    uint64 // the grant that its renewals name
	wished   since  // in which term it asked for votes last
	able     since  // in which term it answered last that it can take over
	out      bool   // stays down until told otherwise

	twinOf   int     // the machine whose disk it copied, from 1; 0 none
	joinAs   string  // the name under which it joins; empty: name
	past     []image // of its disk at earlier starts
	restored bool    // an older image was put back

	leave leave

	mon       monitor
	transport transport

	// What the checks know of it.
	log       logView
	checked   uint64 // log index up to which its commits were compared
	claimTerm uint64
	claimFrom int64 // true time
	claimEnd  int64
	// lapsedAt is when the present process last gave a term up for want of a lease;
	// lapsing is true while it leads in raft's eyes without one.
	lapsedAt int64
	lapsing  bool
	bad      int64 // when it last did not run as it should
	badSince int64 // 0: runs as it should
	behindAt int64 // when its log was last seen to lack what is committed
	// committed is the last entry that was committed when that last grew, or when
	// its own log had no more; committedAt is when that was.
	committed   uint64
	committedAt int64
	// unprovenAt is when it was last seen not to be the recorded process.
	unprovenAt int64
	search     membership.Search
	asks       membership.Venue // whom it asks to be let in
	sentOn     int              // how often that one, and who followed, sent it on
	rotate     int              // with whom the list of machines to ask begins

	// Faults that are armed for its next step.
	pauseMid time.Duration
	killMid  *Fault
}

// pendingRef is a request that this node's core works on for somebody; rpc is
// nil if that is the node itself.
type pendingRef struct {
	ref     uint64
	rpc     *rpc
	request election.Request
	at      int64
	index   uint64 // up to which the log was committed when it was asked
}

// logView is a node's log as its core handed it out, durable or not.
type logView struct {
	first uint64
	term  uint64 // of the entry before the first
	ents  []*raftpb.Entry
	// grewAt is when it last changed.
	grewAt int64
}

func (l *logView) lastTerm() uint64 {
	if n := len(l.ents); n > 0 {
		return l.ents[n-1].GetTerm()
	}
	return l.term
}

func (l *logView) at(index uint64) *raftpb.Entry {
	if index < l.first || index >= l.first+uint64(len(l.ents)) {
		return nil
	}
	return l.ents[index-l.first]
}

func (l *logView) last() uint64 { return l.first + uint64(len(l.ents)) - 1 }

// start starts the coordinator process from what its disk holds.
func (s *Sim) start(n *node) {
	if n.up || !n.power || n.disk.full || n.out || n.spare {
		return
	}
	if n.disk.durable.id != 0 && s.refusedStart(n) {
		s.stats.count("process: refused at its start", 1)
		s.retireMachine(n, "")
		return
	}
	if n.disk.durable.id != 0 {
		s.stopTwins(nil)
		if n.spare {
			return // it was to run from a copy itself
		}
	}
	n.keepImage()
	n.startedAt, s.disturbedAt = s.now, s.now
	s.starts = append(s.starts, s.now)
	s.ownAgain(n)
	n.crowd++
	n.gen++
	n.life++
	n.transport = transport{} // before its first message, which is number 1
	n.up, n.paused = true, false
	s.draw(n)
	n.inbox, n.held, n.refs, n.probes, n.relink, n.tell = n.inbox[:0], nil, nil, nil, nil, nil
	n.peers, n.meetings, n.asked = nil, nil, map[uint64]int64{}
	n.leave.until, n.lapsedAt, n.lapsing = 0, 0, false
	n.core, n.id, n.unborn = nil, 0, false
	s.ran(n)
	s.monitorStart(n)
	im := &n.disk.durable
	if b := membership.Begin(im.id, im.empty()); b != membership.Resume {
		if b == membership.SeekAgain {
			s.stats.count("process: restarted before its first log record", 1)
			n.disk.dropRing()
		}
		s.tracef(n, "coordinator starts, incarnation %x, without a ring", n.inc&0xffff)
		s.stats.count("process: starts without log", 1)
		s.beginJoin(n)
		return
	}
	s.tracef(n, "coordinator starts, incarnation %x, as member %d from its disk", n.inc&0xffff, im.id)
	s.stats.count("process: starts from disk", 1)
	s.makeCore(n, im.id, im.recovered())
}

// draw gives the process a new incarnation.
func (s *Sim) draw(n *node) {
	im := &n.disk.durable
	n.inc, im.former = membership.NextIncarnation((1_760_000_000_000_000_000+s.now+n.wall)/1_000_000, n.rnd.Uint64(), im.former)
	s.incarnations[n.inc] = n.idx
}

func (s *Sim) makeCore(n *node, id uint64, rec election.Recovered) {
	n.id, n.bornAt = id, s.now
	n.told = told{}
	n.log = logView{first: 1}
	n.checked = 0
	if m := rec.Snapshot.GetMetadata(); m.GetIndex() > 0 {
		n.log.first, n.log.term = m.GetIndex()+1, m.GetTerm()
		n.checked = m.GetIndex()
	}
	n.log.ents = append(n.log.ents, rec.Entries...)
	n.wakeAt = forever
	seed := n.rnd.Uint64()
	chance := rand.NewPCG(seed, uint64(n.gen))
	cfg := election.Config{
		ID: id, Incarnation: n.inc, Addresses: n.place.Told, Former: slices.Clone(n.disk.durable.former[1:]),
		Rand:         chance.Uint64,
		Wall:         func() int64 { return 1_760_000_000_000_000 + (s.now+n.wall)/1000 },
		CompactAfter: s.world.CompactAfter, Unborn: n.unborn,
	}
	cfg.Trace = func(rule, format string, args ...any) {
		s.stats.Named["core: "+format]++
		s.tracef(n, "["+rule+"] "+format, args...)
	}
	core, err := s.opt.Make(cfg, rec, n.clock.local(s.now))
	if err != nil {
		s.fail("start", "%s cannot start as member %d from what it persisted: %v", n.name, id, err)
		return
	}
	n.core, n.deferral, n.deferred = core, election.NewDeferral(id, core.State()), nil
	if n.mon.barred > 0 {
		s.tellMonitorRuns(n, false)
	}
	s.stepped(n)
	s.hellos(n)
	s.connect(n)
}

// exit ends the coordinator process; its monitor sees it.
func (s *Sim) exit(n *node, why string) {
	if !n.up {
		return
	}
	s.stopTwins(n)
	s.tracef(n, "coordinator ends: %s", why)
	s.twinEnds(n)
	s.ran(n)
	n.up, n.paused = false, false
	n.gen++
	n.core = nil
	s.dead[n.inc], s.ended[n.id] = s.now, s.now
	s.claimOver(n)
	n.inbox, n.held, n.refs = n.inbox[:0], nil, nil
	n.pauseMid, n.killMid = 0, nil
	n.disk.crash(s, n.idx, !n.power, n.rnd)
	n.badSince = s.now
	s.monitorOrphan(n, why)
}

// restartAfter lets a supervisor start the coordinator after a while.
func (s *Sim) restartAfter(n *node, d time.Duration) {
	s.q.push(event{at: s.now + int64(d), kind: evStart, node: int16(n.idx)})
}

// pause stops the process where it is. Its clock and its kernel go on.
func (s *Sim) pause(n *node, d time.Duration) {
	if !n.up || n.paused {
		return
	}
	n.paused = true
	s.ran(n)
	n.badSince = s.now
	s.stats.count("process: pauses", 1)
	s.tracef(n, "paused for %v", d)
	s.q.push(event{at: s.now + int64(d), kind: evResume, node: int16(n.idx), gen: n.gen})
}

// resume lets it go on: with the effects of its last step, then with what
// waits for it; its timers come before or after.
func (s *Sim) resume(n *node, gen uint32) {
	if !n.up || !n.paused || gen != n.gen {
		return
	}
	n.paused = false
	s.ran(n)
	s.tracef(n, "goes on")
	if n.core != nil {
		s.checkClaim(n)
	}
	held := n.held
	n.held = nil
	if held != nil && n.core != nil {
		s.carryOut(n, held)
	}
	if n.gen == gen && n.core != nil && !n.paused && n.rnd.IntN(2) == 0 {
		n.core.Tick(n.clock.local(s.now))
		s.stepped(n)
	}
	at := s.now
	inbox := n.inbox
	n.inbox = nil
	n.wakeAt = forever
	for i := range inbox {
		e := inbox[i]
		at += 1 + n.rnd.Int64N(int64(20*time.Microsecond))
		e.at = at
		s.q.push(e)
	}
	if n.gen == gen && n.core != nil {
		s.wake(n)
	}
}

// ran notes that the process did not run well until now.
func (s *Sim) ran(n *node) {
	n.bad = s.now
	n.badSince = 0
}

// lastBad is when the process last did not run as it should.
func (n *node) lastBad(now int64) int64 {
	if n.badSince != 0 || n.disk.slow > 0 || n.disk.stuck > 0 || n.disk.full || now < n.disk.slowUntil {
		return now
	}
	return max(n.bad, n.disk.slowUntil)
}

// stepped carries out what a step of the core asked for, checks, and sets the
// next timer.
func (s *Sim) stepped(n *node) {
	s.stats.counts[cSteps]++
	gen := n.gen
	effects := n.core.Effects()
	for _, e := range effects { // what they tell is true, whether carried out or not
		switch x := e.(type) {
		case election.Persist:
			n.disk.asked = append(n.disk.asked, s.now)
			s.logPersist(n, &x)
		case election.Applied:
			s.logApplied(n, x)
		}
		s.tell(n, e)
	}
	if s.failure == nil {
		s.noteClaim(n)
		s.checkTold(n)
	}
	if s.failure != nil {
		return
	}
	effects = s.due(n, effects)
	if n.pauseMid > 0 && len(effects) > 0 {
		d := n.pauseMid
		n.pauseMid = 0
		n.held = effects
		s.stats.count("process: pauses in the midst of a step", 1)
		s.pause(n, d)
		return
	}
	if f := n.killMid; f != nil && len(effects) > 0 {
		n.killMid = nil
		s.stats.count("process: killed in the midst of a step", 1)
		s.carryOut(n, effects[:n.rnd.IntN(len(effects))])
		if n.gen == gen {
			s.kill(n, f)
		}
		return
	}
	s.carryOut(n, effects)
	if n.gen == gen && n.core != nil && !n.paused {
		s.wake(n)
	}
}

// wake makes sure that the timer fires when the core wants it, or a little
// later.
func (s *Sim) wake(n *node) {
	w := min(n.core.NextWake(), n.deferral.Ends())
	if w == election.Never {
		return
	}
	at := n.clock.trueAt(w)
	if at >= n.wakeAt {
		return
	}
	late := int64(1000) + int64(n.rnd.Uint64()%150_000)
	if n.rnd.IntN(128) == 0 {
		late += n.rnd.Int64N(int64(n.lazy))
	}
	at = max(at, s.now) + late
	n.wakeAt = at
	s.q.push(event{at: at, kind: evWake, node: int16(n.idx), gen: n.gen})
}

func (s *Sim) woken(n *node, e event) {
	if n.core == nil || e.gen != n.gen || e.at != n.wakeAt {
		return
	}
	n.wakeAt = forever
	now := n.clock.local(s.now)
	switch {
	case n.core.NextWake() <= now:
		n.core.Tick(now)
		s.stepped(n)
	case n.deferral.Ends() <= now:
		s.stepped(n)
	default:
		s.wake(n)
	}
}

// carryOut does what the core asked for, in order.
func (s *Sim) carryOut(n *node, effects []election.Effect) {
	gen := n.gen
	for i, eff := range effects {
		if s.failure != nil || n.gen != gen {
			return
		}
		if n.paused {
			n.held = append(n.held, effects[i:]...)
			return
		}
		switch x := eff.(type) {
		case election.Send:
			s.send(n, x.Message)
		case election.Persist:
			s.persist(n, &x)
		case election.Probe:
			s.probe(n, x)
		case election.Done:
			s.done(n, x)
		case election.Relink:
			n.relink = &x
			n.tell = x.Tell
			s.monitorLink(n)
		case election.Applied:
		case election.PeersChanged:
			n.peers = n.peers[:0]
			for _, m := range x.Peers {
				n.peers = append(n.peers, m.ID)
			}
			if n.peers == nil {
				n.peers = []uint64{}
			}
		case election.ClaimChanged:
			s.claimChanged(n, x)
		case election.SuspicionChanged:
			s.suspicionChanged(n, x)
		case election.Inquire:
			s.inquire(n)
		case election.Removed:
			s.lastLook(n)
			s.removed(n, x)
		case election.Refused:
			if n.restored || n.twinOf != 0 || s.twinCounted(n) {
				break // others count on what its disk has lost, or on the disk of the other one
			}
			s.fail("effect", "%s refuses what member %d sent: %s", n.name, x.From, x.Why)
		case election.Superseded:
			s.lastLook(n)
			s.superseded(n, x)
		default:
			s.fail("effect", "unknown effect %T", eff)
		}
	}
}
