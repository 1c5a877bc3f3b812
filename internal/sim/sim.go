package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// Sim is one run. Make it with Run.
type Sim struct {
	opt   Options
	world World
	net   *Network
	rnd   *rand.Rand
	// watches counts the monitors' watches, whose grants are numbered apart.
	watches uint64
	now     int64
	q       queue
	nodes   []*node
	links   []*link // made when first used

	ledger     ledger
	births     map[birthKey]birth
	appends    map[uint64]uint64 // raft's leader of each term by incarnation
	idMachine  []int             // machine of each id, -1 unknown
	addresses  map[string]int
	floats     int // machine with the floating address, -1 none
	renumbered int
	dead       map[uint64]int64 // when each incarnation ended
	ended      map[uint64]int64 // when a process of each member last did
	evidence   evidence
	asked      asked
	letGo      map[uint64]bool // members that dropped their logs because the core told them to
	refs       uint64
	retired    int               // machines whose process ended for good
	twins      map[uint64]uint64 // members as whom twins ran, by incarnation
	twinTerms  map[uint64]uint64 // the newest term of a twin that ended, by member

	incarnations map[uint64]int // machine of each that ever ran

	active []*active
	armed  []*Fault
	calm   bool
	demand bool
	over   bool // nothing is left to look at

	entered map[uint64]bool // founders that have learned their ids

	healedAt, leadAt, wholeAt int64
	// ledUntil is when the newest claim ended, disturbedAt when the newest fault
	// began or ended, or a process started.
	ledUntil, disturbedAt int64
	// refusedAt is when a machine was last seen to refuse another one, by their numbers.
	refusedAt    map[[2]int]int64
	quietUntil   int64
	wishes       *rand.Rand // what operators want of a whole ring
	stops        *rand.Rand // which processes are told to end
	lastOp       int64
	wholeEpoch   uint64
	wholeEvicted int
	settled      bool
	outagesFrom  int64 // from when on holes in the claims are not yet judged
	// starts are when processes were started, wanted when words were read
	// long after the question that they belong to, unrenewed when renewals or their acks were lost.
	starts    []int64
	wanted    []reading
	unrenewed []int64
	blinks    int

	claims    []Claim
	known     []Event
	evictions []Event
	stats     Stats
	failure   *Failure
	hash      fnv
	events    int
}

// Run carries out one run and returns how it ended.
func Run(opt Options) *Result {
	if opt.Nodes == 0 {
		opt.Nodes = NodesOf(opt.Seed)
	}
	if opt.Length == 0 {
		opt.Length = 60 * time.Second
	}
	if opt.Make == nil {
		opt.Make = realCore
	}
	world := newWorld(rand.New(rand.NewPCG(opt.Seed, 1)), opt.Nodes)
	if opt.World != nil {
		opt.World(&world)
	}
	faults := opt.Plan
	if faults == nil {
		faults = plan(rand.New(rand.NewPCG(opt.Seed, 2)), &world, opt.Length)
		faults = mistakes(rand.New(rand.NewPCG(opt.Seed, 5)), &world, faults, opt.Length)
		faults = withAddressFaults(rand.New(rand.NewPCG(opt.Seed, 6)), &world, opt.Length, faults)
		faults = networkFaults(rand.New(rand.NewPCG(opt.Seed, 10)), &world, opt.Length, faults)
		faults = foundingFaults(rand.New(rand.NewPCG(opt.Seed, 8)), &world, opt.Length, faults)
	}
	all := faults
	if opt.Keep != nil {
		faults = nil
		for _, i := range opt.Keep {
			if i < len(all) {
				faults = append(faults, all[i])
			}
		}
	}
	s := newSim(opt, world)
	res := &Result{Options: opt, Plan: all, World: world}
	func() {
		defer func() {
			if r := recover(); r != nil {
				s.fail("panic", "%v\n%s", r, trimStack(string(debug.Stack())))
			}
		}()
		s.run(faults)
	}()
	res.Failure, res.Stats, res.Hash, res.Events = s.failure, s.stats, uint64(s.hash), s.events
	for _, n := range s.nodes {
		s.claimOver(n)
	}
	res.Claims = s.claims
	if len(s.idMachine) > 0 {
		res.Joined = s.idMachine[1:]
	}
	s.traffic(res)
	return res
}

func newSim(opt Options, world World) *Sim {
	s := &Sim{opt: opt, world: world, ledger: newLedger(), hash: newPrint(), births: map[birthKey]birth{}, appends: map[uint64]uint64{}, addresses: map[string]int{}, dead: map[uint64]int64{}, ended: map[uint64]int64{},
		evidence: newEvidence(), letGo: map[uint64]bool{}, refusedAt: map[[2]int]int64{}, twins: map[uint64]uint64{}, twinTerms: map[uint64]uint64{}, incarnations: map[uint64]int{}, entered: map[uint64]bool{}}
	s.asked = asked{settings: map[ring.Settings]bool{}, evictions: map[string]bool{}, leaves: map[uint64]bool{}}
	s.floats = -1
	s.net = &s.world.Net
	s.net.Copies = s.net.Copies || opt.Copies
	s.stats.Named = map[string]int{}
	s.rnd = rand.New(rand.NewPCG(opt.Seed, 3+opt.Salt<<8))
	s.wishes = rand.New(rand.NewPCG(opt.Seed, 5+opt.Salt<<8))
	s.stops = rand.New(rand.NewPCG(opt.Seed, 9+opt.Salt<<8))
	k := world.Machines + world.Spares
	for i := range k {
		n := &node{idx: i, name: fmt.Sprintf("n%d", i+1), power: true, spare: i >= world.Machines, lazy: world.Lazy[i],
			witness: slices.Contains(world.Witnesses, i), lead: slices.Contains(world.Leads, i), wakeAt: forever}
		n.own = n.name + ":7400"
		s.addresses[n.own] = i
		n.rnd = rand.New(rand.NewPCG(opt.Seed, 16+uint64(i)+opt.Salt<<8))
		n.clock = clock{base: n.rnd.Int64N(int64(1000 * time.Hour)), ppm: world.Rates[i]}
		s.findPlace(n)
		n.wall = n.rnd.Int64N(int64(time.Hour))
		n.bad = -int64(time.Hour)
		n.asked, n.mon.tickAt = map[uint64]int64{}, forever
		s.nodes = append(s.nodes, n)
	}
	s.links = make([]*link, k*k)
	return s
}

// found founds the ring on the first machine, and lets the others ask to join.
func (s *Sim) found() error {
	n := s.nodes[0]
	s.draw(n)
	f := ring.Found{Cluster: "sim", RingID: "r1", Founder: ring.Member{Name: n.name, Incarnation: n.inc, Addresses: n.place.Told}, Settings: s.world.Settings}
	rec, err := election.Found(f, 1_760_000_000_000_000)
	if err != nil {
		return err
	}
	g := &s.ledger
	g.join(1, f.Founder)
	g.highest, g.epoch = 1, 1
	g.voters = []uint64{1}
	g.confs = []confMark{{1, g.voters, nil}}
	g.setSettings(0, s.world.Settings)
	g.base, g.founded, g.byEpoch = 1, 1, []epochMark{{}, g.epochMark()}
	s.learnID(1, 0)
	n.disk.durable = image{id: 1, former: []uint64{n.inc}, hs: rec.HardState, snap: rec.Snapshot, first: 2}
	n.up, n.gen = true, 1
	s.monitorStart(n)
	s.makeCore(n, 1, rec)
	for _, o := range s.nodes[1:] {
		if !o.spare {
			s.restartAfter(o, s.between(o.rnd, 0, time.Second))
		}
	}
	return nil
}

func (s *Sim) run(faults []Fault) {
	found := s.found
	switch {
	case s.world.Formed:
		found = s.foundFormed
	case s.world.Together:
		found = s.foundTogether
	}
	if err := found(); err != nil {
		s.fail("start", "%v", err)
		return
	}
	for i := range faults {
		s.q.push(event{at: int64(faults[i].At), kind: evFault, p: &faults[i]})
	}
	for _, c := range s.world.cycles(s.opt.Length) {
		s.q.push(event{at: int64(c.quiet), kind: evHeal, n: uint64(c.end)})
		s.q.push(event{at: int64(c.end), kind: evQuietEnd})
	}
	s.q.push(event{at: int64(ledEvery), kind: evLed})
	end := int64(s.opt.Length) + 1
	for s.failure == nil && !s.over {
		e, ok := s.q.pop()
		if !ok || e.at > end {
			return
		}
		s.now = e.at
		s.events++
		s.hash.num(uint64(e.at) ^ uint64(e.kind)<<56 ^ uint64(e.node)<<48)
		s.dispatch(e)
	}
}

// dispatch carries out an event. What is for a stopped process waits for it.
func (s *Sim) dispatch(e event) {
	n := s.nodes[e.node]
	switch e.kind {
	case evFault:
		subject := -1
		if e.n == 1 {
			subject = int(e.node)
			s.inject(e.p.(*Fault), subject)
			return
		}
		s.strike(e.p.(*Fault))
		return
	case evFaultEnd:
		s.undo(e.p.(*active))
		return
	case evHeal:
		s.quietUntil = int64(e.n)
		s.heal()
		return
	case evWish:
		s.wishDue(e.p.(*operation))
		return
	case evLed:
		s.pollLed()
		return
	case evPoll:
		if s.calm {
			s.poll()
		}
		return
	case evQuietEnd:
		s.quietEnd()
		return
	case evStart:
		if !n.spare {
			s.start(n)
		}
		return
	case evResume:
		s.resume(n, e.gen)
		return
	case evReaddress:
		if !n.paused {
			s.readdress(n)
			return
		}
	case evOp:
		s.opTry(e)
		return
	case evCertSend:
		s.certSend(n, e)
		return
	case evMonStart:
		if e.n == 1 {
			s.monitorStarts(n, e)
			return
		}
	case evPong, evRefused, evMonTick, evMonLink, evHang:
		if !n.mon.up || e.gen != n.mon.gen {
			return
		}
		if n.mon.paused {
			if len(n.mon.inbox) < inboxMost || !e.kind.travels() {
				n.mon.inbox = append(n.mon.inbox, e)
			}
			return
		}
		s.monitorEvent(n, e)
		return
	}
	if n.paused {
		if e.kind != evWake && (len(n.inbox) < inboxMost || !e.kind.travels()) {
			s.stats.counts[cInbox]++
			n.inbox = append(n.inbox, e)
		}
		return
	}
	s.coordinatorEvent(n, e)
}

func (s *Sim) monitorEvent(n *node, e event) {
	switch e.kind {
	case evPong:
		s.ponged(n, e)
	case evRefused:
		s.refused(n, e)
	case evMonTick:
		s.monitorTick(n, e)
	case evMonLink:
		s.monitorLinked(n, e.p.(*election.Relink))
	case evHang:
		s.hangTick(n, e)
	}
}

func (s *Sim) coordinatorEvent(n *node, e event) {
	switch e.kind {
	case evWake:
		s.woken(n, e)
	case evDeliver:
		s.deliver(n, e)
	case evDisk:
		if e.n == 1 {
			if e.gen == n.disk.gen {
				s.diskTell(n)
			}
			return
		}
		s.diskDone(n, e.gen)
	case evJoinTry:
		s.join(n, e)
	case evRPC:
		s.called(n, e)
	case evReply:
		s.replied(n, e)
	case evUnreach:
		if e.gen == n.gen && n.core != nil {
			n.core.Unreachable(n.clock.local(s.now), e.n)
			s.stepped(n)
		}
	case evPing:
		s.pinged(n, e)
	case evMonStart:
		s.monitorStarts(n, e)
	case evReport:
		if e.gen == n.gen && n.core != nil {
			n.core.Report(n.clock.local(s.now), *e.p.(*ring.Opinion))
			s.stepped(n)
		}
	case evPinged:
		if e.gen == n.gen && n.core != nil {
			n.core.Pinged(n.clock.local(s.now), *e.p.(*election.Ping))
			s.stepped(n)
		}
	case evProbe:
		s.probed(n, e)
	case evProbed, evProbeEnd:
		s.probeEnded(n, e)
	case evCertify:
		s.certified(n, e)
	case evLeave:
		s.leaveTry(n, e)
	case evReaddress:
		s.readdress(n)
	case evHello:
		s.hello(n, e)
	case evInquire:
		s.inquired(n, e)
	case evStanding:
		if q := e.p.(*inquiry); q.gen == n.gen && n.core != nil {
			n.core.Answered(n.clock.local(s.now), q.answer)
			s.stepped(n)
		}
	case evMonRuns:
		s.monitorRuns(n, e)
	case evPaths:
		s.checkPaths(n, e)
	case evRescue:
		s.rescue(n, e)
	default:
		panic("sim: no handler for " + evNames[e.kind])
	}
}

// machineOf is the machine that a member runs on, -1 if unknown.
func (s *Sim) machineOf(id uint64) int {
	if id == 0 || id >= uint64(len(s.idMachine)) {
		return -1
	}
	return s.idMachine[id]
}

func (s *Sim) learnID(id uint64, machine int) {
	for uint64(len(s.idMachine)) <= id {
		s.idMachine = append(s.idMachine, -1)
	}
	s.idMachine[id] = machine
}

// machineNamed is the machine with the name, -1 if there is none.
func (s *Sim) machineNamed(name string) int {
	return slices.IndexFunc(s.nodes, func(n *node) bool { return n.asName() == name })
}

// trimStack leaves the lines between the panic and the simulator's loop.
func trimStack(st string) string {
	if i := strings.Index(st, "panic("); i >= 0 {
		st = st[i:]
	}
	if i := strings.Index(st, "sim.(*Sim).dispatch"); i >= 0 {
		st = st[:i]
	}
	return strings.TrimSpace(st)
}
