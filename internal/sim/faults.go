package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// FaultKind is what a fault does.
type FaultKind string

// The kinds of faults. A fault with a length ends by itself, and at the latest
// when the quiet time begins.
const (
	Kill          FaultKind = "kill"           // kill -9 of a coordinator
	KillTwo       FaultKind = "kill-two"       // of two at once
	KillAll       FaultKind = "kill-all"       // of all at once
	Crash         FaultKind = "crash"          // the machine loses its power
	CrashAll      FaultKind = "crash-all"      // all do
	Pause         FaultKind = "pause"          // a coordinator stops (SIGSTOP) and goes on
	PauseMachine  FaultKind = "pause-machine"  // its monitor too
	PauseMonitor  FaultKind = "pause-monitor"  // only its monitor
	KillMonitor   FaultKind = "kill-monitor"   // and the coordinator starts another
	NoMonitor     FaultKind = "no-monitor"     // and the coordinator can start no other for a while
	SlowMonitor   FaultKind = "slow-monitor"   // a monitor is stopped for moments, again and again
	KillBoth      FaultKind = "kill-both"      // coordinator and monitor: no certificate
	Cut           FaultKind = "cut"            // A–B, both ways; all others see both
	CutOneWay     FaultKind = "cut-one-way"    // A→B
	CutWatcher    FaultKind = "cut-watcher"    // the leader from its watcher, both ways or one
	Isolate       FaultKind = "isolate"        // one from all others
	IsolateOneWay FaultKind = "isolate-mute"   // it hears, and is not heard
	Deaf          FaultKind = "isolate-deaf"   // it is heard, and does not hear
	Partition     FaultKind = "partition"      // two sides
	CutSome       FaultKind = "cut-some"       // one from some others, who see one another; it keeps a bare majority
	Graph         FaultKind = "graph"          // all see one another only in part: star, chain, bridge, random
	Flap          FaultKind = "flap"           // A–B is cut and healed again and again
	Bounce        FaultKind = "bounce"         // kill -9 of a voter that is not the leader, and again at once from its disk
	Slow          FaultKind = "slow"           // a machine's links are slow
	Lossy         FaultKind = "lossy"          // a machine's links lose messages
	Doubling      FaultKind = "doubling"       // all links double messages
	SlowDisk      FaultKind = "slow-disk"      // syncs take long
	StuckDisk     FaultKind = "stuck-disk"     // every sync takes long
	FullDisk      FaultKind = "full-disk"      // the process stops
	ClockRate     FaultKind = "clock-rate"     // the clock's rate changes, within the bound
	WallClock     FaultKind = "wall-clock"     // the wall clock is set, back or forth
	OpJoin        FaultKind = "op-join"        // a machine that stood by joins
	OpLeave       FaultKind = "op-leave"       // arc leave or SIGTERM, of one or of all, and it comes back later
	OpEvict       FaultKind = "op-evict"       // arc evict
	OpHandover    FaultKind = "op-handover"    // arc handover, to the heir or to a named one
	OpSettings    FaultKind = "op-settings"    // arc config set
	Renumber      FaultKind = "renumber"       // a machine has another address; its old one leads nowhere, or to somebody else
	Usurp         FaultKind = "usurp"          // power off, and another ring's member takes the address over
	Float         FaultKind = "float"          // an address moves to another machine
	OpImpostor    FaultKind = "op-impostor"    // somebody asks to join under the name of a member that runs
	CloneDisk     FaultKind = "clone-disk"     // a machine that stood by runs from a copy of a disk in use
	RestoreDisk   FaultKind = "restore-disk"   // kill -9, and an older disk is put back
	Wear          FaultKind = "kill-certified" // kill -9 of one, and of the next as soon as that is certified
	OneNetwork    FaultKind = "one-network"    // one of several networks is dead for a machine or for all; drawn apart from the others
	Mistake       FaultKind = "mistake"        // a member is told that it is out, and it is not; drawn apart from the others
)

// FaultKinds lists them all.
var FaultKinds = []FaultKind{Kill, KillTwo, KillAll, Crash, CrashAll, Pause, PauseMachine, PauseMonitor, KillMonitor, KillBoth, Cut, CutOneWay,
	Isolate, IsolateOneWay, Deaf, Partition, CutSome, Flap, Bounce, Slow, Lossy, Doubling, SlowDisk, FullDisk, ClockRate, WallClock, OpJoin, OpLeave, OpEvict, OpHandover,
	OpSettings, Wear, CutWatcher, SlowMonitor, NoMonitor, Graph, StuckDisk, CloneDisk, RestoreDisk, Renumber, Usurp, Float, OpImpostor, Mistake, OneNetwork}

// Target says whom a fault hits: a machine by number, or the one that has a role
// when it strikes.
type Target int

// Roles.
const (
	TheLeader  Target = -1 // who claims, else who is declared
	TheHeir    Target = -2 // who is next
	TheWatcher Target = -3 // the leader's predecessor
	TheSubject Target = -4 // whose step set the fault off
	ANewest    Target = -5 // the member with the highest id
)

func (t Target) String() string {
	switch t {
	case TheLeader:
		return "the leader"
	case TheHeir:
		return "the heir"
	case TheWatcher:
		return "the leader's watcher"
	case TheSubject:
		return "the one who did that"
	case ANewest:
		return "the newest member"
	}
	return fmt.Sprintf("n%d", int(t)+1)
}

// Fault is one entry of a plan.
type Fault struct {
	At   time.Duration
	Kind FaultKind
	// Who is hit; With is the other one where two are needed.
	Who, With Target
	// For is its length: of a pause, a cut, or until a restart.
	For time.Duration
	// On, if not empty, arms the fault at At; it strikes when that happens:
	// declared, claim, vote, joined, conf, evicted, certified, transfer,
	// snapshot, renew (by a leader), promise (by a voter), grant (a leader
	// names another one), testimony (of a watcher).
	On string
	// Mid lets it strike in the midst of a step: the step's effects are late
	// or lost in part.
	Mid bool
	// Wipe: the disk is gone at the restart.
	Wipe bool
	// Gone: it does not come back in the next quiet time.
	Gone bool
	// N is the kind's number: the side of a partition, a rate in ppm, loss
	// per 65536, the number of settings.
	N int
}

func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.4fs %-14s %v", f.At.Seconds(), f.Kind, f.Who)
	if f.With != f.Who {
		fmt.Fprintf(&b, " and %v", f.With)
	}
	if f.For > 0 {
		fmt.Fprintf(&b, " for %v", f.For.Round(10*time.Microsecond))
	}
	if f.N != 0 {
		fmt.Fprintf(&b, " (%d)", f.N)
	}
	if f.On != "" {
		fmt.Fprintf(&b, ", when %s happens", f.On)
	}
	for _, x := range []struct {
		on   bool
		text string
	}{{f.Mid, ", in the midst of a step"}, {f.Wipe, ", without its disk"}, {f.Gone, ", for good"}} {
		if x.on {
			b.WriteString(x.text)
		}
	}
	return b.String()
}

var triggers = []string{"declared", "claim", "vote", "joined", "conf", "evicted", "certified", "transfer", "renew", "promise", "grant", "testimony"}

// plan makes the faults of a run: in each cycle a stormy time and a quiet one.
// A run has only some of the kinds, so that in some runs a rare one comes often.
func plan(r *rand.Rand, w *World, length time.Duration) []Fault {
	var kinds []FaultKind
	odds := 0.15 + 0.5*r.Float64()
	from := FaultKinds[:slices.Index(FaultKinds, OneNetwork)]
	for _, k := range from {
		if r.Float64() < odds {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 {
		kinds = append(kinds, from[r.IntN(len(from))])
	}
	var faults []Fault
	for _, c := range w.cycles(length) {
		storm := c.quiet - c.from
		if storm <= 0 {
			continue
		}
		mean := [...]float64{1, 3, 8, 20}[r.IntN(4)] * storm.Seconds() / 12
		n := 1 + int(mean*(0.5+r.Float64()))
		n = min(n, 60)
		for range n {
			f := w.fault(r, kinds[r.IntN(len(kinds))], c.from+time.Duration(r.Float64()*float64(storm)))
			faults = append(faults, f)
			if f.Kind == OpHandover && r.IntN(2) == 0 {
				// What the old leader does not hear it cannot obey.
				g := w.fault(r, [...]FaultKind{Deaf, Isolate, IsolateOneWay, Pause, Kill, PauseMachine}[r.IntN(6)], max(0, f.At-time.Millisecond))
				g.On, g.Who, g.With = "transfer", TheSubject, TheSubject
				faults = append(faults, g)
			}
			if f.Kind == CutSome {
				// At the edge of a majority each voter's word counts, most of all
				// when those who were cut off begin to campaign.
				for range 1 + r.IntN(3) {
					g := w.fault(r, [...]FaultKind{Bounce, Bounce, Bounce, Pause, ClockRate, OpSettings}[r.IntN(6)], f.At+time.Duration((0.8+1.6*r.Float64())*float64(w.Settings.Lease())))
					g.On = ""
					if g.Kind == Bounce && r.IntN(2) == 0 { // right after its word
						g.On, g.Who, g.With = "promise", TheSubject, TheSubject
					}
					faults = append(faults, g)
				}
			}
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// mistakes adds false notices of eviction to a plan, from a source of their own:
// nothing else of the run depends on them.
func mistakes(r *rand.Rand, w *World, faults []Fault, length time.Duration) []Fault {
	if r.IntN(3) > 0 {
		return faults
	}
	for _, c := range w.cycles(length) {
		for range r.IntN(6) {
			f := Fault{At: c.from + time.Duration(r.Float64()*float64(max(c.quiet-c.from, 1))), Kind: Mistake,
				Who: w.target(r), With: Target(r.IntN(w.Machines)), N: r.IntN(1 << 10)}
			if f.Who == f.With {
				f.With = Target((int(max(f.Who, 0)) + 1) % w.Machines)
			}
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// lasts draws a length: mostly short, about as long as the timings that it
// may upset, at times much longer.
func (w *World) lasts(r *rand.Rand) time.Duration {
	base := w.Settings.Lease()
	switch r.IntN(8) {
	case 0:
		return time.Duration(r.Float64() * 0.2 * float64(base))
	case 1, 2:
		return time.Duration(r.Float64() * float64(base))
	case 3, 4, 5:
		return base/2 + time.Duration(r.Float64()*3*float64(base))
	case 6:
		return base + time.Duration(r.Float64()*8*float64(base))
	default:
		return time.Duration(r.Float64() * 30 * float64(base))
	}
}

func (w *World) target(r *rand.Rand) Target {
	switch r.IntN(8) {
	case 0, 1:
		return TheLeader
	case 2:
		return TheHeir
	case 3:
		return TheWatcher
	case 4:
		if r.IntN(2) == 0 {
			return ANewest
		}
	}
	return Target(r.IntN(w.Machines))
}

func (w *World) fault(r *rand.Rand, kind FaultKind, at time.Duration) Fault {
	f := Fault{At: at, Kind: kind, Who: w.target(r), For: w.lasts(r)}
	f.With = Target(r.IntN(w.Machines))
	switch kind {
	case Usurp:
		f.Gone = r.IntN(2) == 0
	case Kill, KillTwo, KillBoth, Crash, Wear:
		f.Wipe = r.IntN(6) == 0
		f.Gone = r.IntN(8) == 0
		f.Mid = kind == Kill && r.IntN(3) == 0
	case KillAll, CrashAll:
		f.For = min(f.For, 2*w.Settings.Lease()+time.Second)
	case Pause:
		f.Mid = r.IntN(2) == 0
	case Bounce:
		f.For = time.Duration(r.Float64() * r.Float64() * 0.6 * float64(w.Settings.Lease()))
		f.N = r.IntN(1 << 16)
	case CutSome:
		f.For = w.Settings.Lease() + time.Duration(r.Float64()*6*float64(w.Settings.Lease()))
		f.N = r.IntN(1 << 16)
		if r.IntN(2) == 0 {
			f.Who = TheLeader
		}
	case Partition:
		f.N = 1 + r.IntN(max(1, 1<<w.Machines-2))
	case Slow:
		f.N = 1 + r.IntN(int(w.Settings.LeaseMS))
	case Lossy:
		f.N = r.IntN(40_000)
	case Doubling:
		f.N = r.IntN(20_000)
	case Isolate:
		f.N = r.IntN(3)
	case CutWatcher:
		f.N = r.IntN(6)
		f.Who, f.With = TheLeader, TheWatcher
	case SlowMonitor:
		f.N = 1 + r.IntN(int(4*w.Settings.LeaderIntervalMS*w.Settings.LeaderMisses))
		if r.IntN(2) == 0 {
			f.Who = TheWatcher
		}
	case Graph:
		f.For = w.Settings.Lease() + time.Duration((2+20*r.Float64())*float64(w.Settings.Lease())) + time.Second
		f.N = r.IntN(1 << 16)
	case StuckDisk:
		f.For = w.Settings.Lease() + time.Duration((2+20*r.Float64())*float64(w.Settings.Lease())) + time.Second
		f.N = 1 + r.IntN(8*int(w.Settings.LeaseMS))
		if r.IntN(2) == 0 {
			f.Who = TheHeir
		}
	case SlowDisk:
		f.N = 1 + r.IntN(2*int(w.Settings.LeaseMS))
	case ClockRate:
		f.N = [...]int{-maxRate, maxRate, r.IntN(2*maxRate) - maxRate}[r.IntN(3)]
		f.For = 0
	case WallClock:
		// By an hour, to 1970, to 2072, and to when no clock is believed.
		f.N = [...]int{r.IntN(7200) - 3600, -1_759_990_000, 1_500_000_000, 2_600_000_000}[r.IntN(4)]
		f.For = 0
	case OpSettings:
		f.N = r.IntN(settingsKinds)
	case OpHandover, Renumber:
		f.N = r.IntN(3)
	case Float:
		f.N = r.IntN(2)
	case OpEvict, OpJoin, OpLeave, KillMonitor, FullDisk:
	}
	if f.Who == f.With || !needsTwo(kind) {
		f.With = f.Who
	}
	if needsTwo(kind) && f.With == f.Who {
		f.With = Target((int(max(f.Who, 0)) + 1) % w.Machines)
	}
	if r.IntN(4) == 0 {
		f.On = triggers[r.IntN(len(triggers))]
		if r.IntN(2) == 0 {
			f.Who = TheSubject
		}
	}
	return f
}

func needsTwo(k FaultKind) bool {
	return k == Cut || k == CutOneWay || k == CutWatcher || k == Flap || k == KillTwo || k == Wear || k == Mistake || k == Renumber
}

// maxRate is how much a clock may run too fast or too slow, in ppm, so that no
// two differ by more than the drift bound of 1 %.
const maxRate = 4975
