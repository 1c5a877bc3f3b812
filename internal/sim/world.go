package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/arc-ring/arc/ring"
)

// World is what a run's machines and network are like, apart from faults.
type World struct {
	Machines int // in the ring
	Spares   int // that stand by
	Profile  string
	Settings ring.Settings
	Net      Network
	// Networks is how many there are between any two machines: 2 or 3, else one.
	Networks int
	// Strays: at its addresses on the last network a machine is not reached, but a
	// stranger is.
	Strays bool
	// Witnesses and Leads (on_join = lead) are machines by number.
	Witnesses, Leads []int
	CompactAfter     uint64
	// Bridges: every machine lists an address that leads back to its dialler.
	Bridges bool
	// Moves: addresses change and move, and impostors ask to be let in.
	Moves bool
	// Defers: coordinators hold back what nobody waits for, as the daemon's do.
	// Without it all effects are carried out at once.
	Defers bool
	// Together: the ring is founded by all machines, as with --expect. Without
	// it the first one founds alone, and the others join.
	Together bool
	// Early lets faults begin before the ring is formed.
	Early bool
	// Formed: all are members from the start.
	Formed bool
	// Demand a leader after the faults whether or not a majority is left: the
	// core could have kept one.
	Demand bool
	// Reckless lets operators and fate destroy a majority for good.
	Reckless bool
	Rates    []int64 // ppm, per machine
	Lazy     []time.Duration
	// Cycle and Quiet: how long a storm and the quiet time after it last
	// together, and the quiet time alone.
	Cycle, Quiet time.Duration
}

// settingsKinds is how many settings an operator may choose from.
const settingsKinds = 12

func profile(name string) ring.Settings {
	st, err := ring.ProfileSettings(name)
	if err != nil {
		panic(err)
	}
	return st
}

// settingsOf are the settings that an operator may change to in a run.
func (w *World) settingsOf(n int) ring.Settings {
	st := w.Settings
	st.Profile = ring.CustomProfile
	switch n {
	case 0, 1:
		return w.Settings
	case 2:
		st.LeaseMS *= 2
	case 3:
		st.LeaseMS = max(st.LeaseMS/2, 30)
		st.StaggerMS = min(st.StaggerMS, st.LeaseMS)
	case 4:
		st.MaxVoters = 3
	case 5:
		st.MaxVoters = 5
	case 6:
		st.MaxVoters = 7
	case 7:
		st.MaxVoters = 4
	case 8:
		st.LeaseMS *= 4
		st.LeaderIntervalMS *= 2
		st.HangAfterMS = max(st.HangAfterMS, st.LeaseMS)
	case 9:
		return profile("fast")
	case 10:
		st.LeaderGrants = !st.LeaderGrants
	case 11:
		if w.Profile != "wan" { // a round trip there takes longer than its lease
			return profile("realtime")
		}
	}
	if st.HangAfterMS != 0 {
		st.HangAfterMS = max(st.HangAfterMS, st.LeaseMS)
	}
	return st
}

// newWorld draws a world.
func newWorld(r *rand.Rand, nodes int) World {
	w := World{Machines: nodes, Profile: "lan", CompactAfter: 4096}
	kind := r.IntN(24)
	switch kind {
	case 0, 1, 2, 3:
		w.Profile = "fast"
	case 4:
		w.Profile = "wan"
	case 5, 6, 7, 8, 9, 10, 11, 12:
		w.Profile = "realtime"
	}
	w.Settings = profile(w.Profile)
	if kind > 6 && w.Profile == "realtime" {
		// Slower, which takes fewer steps and shows the same.
		w.Settings.Profile = ring.CustomProfile
		w.Settings.LeaderIntervalMS = uint32(5 + r.IntN(20))
		w.Settings.LeaderMisses = uint32(3 + r.IntN(3))
		w.Settings.LeaseMS = max(50, w.Settings.LeaderIntervalMS*(2*w.Settings.LeaderMisses+uint32(r.IntN(12))))
		w.Settings.IntervalMS = max(50, 2*w.Settings.LeaderIntervalMS)
		w.Settings.StaggerMS = min(10, w.Settings.LeaseMS)
		w.Settings.HangAfterMS, w.Settings.GraceMS = 10*w.Settings.LeaseMS, w.Settings.LeaseMS
	}
	w.Cycle, w.Quiet = 20*time.Second, 9*time.Second
	if w.Profile == "wan" {
		w.Cycle, w.Quiet = 60*time.Second, 35*time.Second
	}
	if r.IntN(4) == 0 {
		w.Settings.MaxVoters = uint32(3 + r.IntN(5))
	}
	if r.IntN(4) == 0 {
		w.Settings.HangAfterMS = []uint32{0, w.Settings.LeaseMS, 2 * w.Settings.LeaseMS}[r.IntN(3)]
		if w.Settings.HangAfterMS != 0 {
			w.Settings.HangAfterMS = max(w.Settings.HangAfterMS, 100)
		}
	}
	if nodes > 1 {
		w.Spares = r.IntN(3)
	}
	w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond, Tail: 60 * time.Millisecond, TailOdds: 400, Ordered: r.IntN(2) == 0, Copies: r.IntN(8) == 0}
	switch w.Profile {
	case "wan":
		w.Net.Base, w.Net.Jitter, w.Net.Tail = 20*time.Millisecond, 10*time.Millisecond, 600*time.Millisecond
	case "realtime":
		w.Net.Tail = 2 * time.Millisecond * time.Duration(w.Settings.LeaderIntervalMS)
	}
	switch r.IntN(4) {
	case 0:
		w.Net.Loss = uint32(r.IntN(1000))
	case 1:
		w.Net.Loss = uint32(r.IntN(10_000))
		w.Net.Dup = uint32(r.IntN(5000))
	case 2:
		w.Net.TailOdds = 30
	}
	if r.IntN(2) == 0 {
		w.Net.Hold = 2 + r.IntN(20)
	}
	if r.IntN(3) == 0 {
		w.CompactAfter = uint64(8 + r.IntN(60))
	}
	if r.IntN(5) == 0 && nodes > 2 {
		w.Witnesses = append(w.Witnesses, 1+r.IntN(nodes-1))
	}
	if r.IntN(5) == 0 {
		w.Leads = append(w.Leads, r.IntN(nodes+w.Spares))
	}
	w.Early = r.IntN(5) == 0
	w.Reckless = r.IntN(10) == 0
	rates := [...]int{1, 2, 4}[r.IntN(3)] // the extremes only, or all kinds
	for range nodes + w.Spares {
		rate := int64(0)
		switch r.IntN(2 * rates) {
		case 0:
			rate = maxRate
		case 1:
			rate = -maxRate
		case 2, 3:
			rate = r.Int64N(2*maxRate) - maxRate
		}
		w.Rates = append(w.Rates, rate)
		w.Lazy = append(w.Lazy, time.Millisecond<<r.IntN(5))
	}
	w.Bridges, w.Moves = r.IntN(3) == 0, r.IntN(3) == 0
	w.Defers = r.IntN(4) > 0
	if w.Together = nodes > 1 && r.IntN(4) == 0; w.Together && w.Profile != "wan" && r.IntN(2) == 0 {
		w.Cycle, w.Quiet = 45*time.Second, 15*time.Second // long enough to give a founding up
	}
	return w
}

// cycle is a storm and the quiet time after it.
type cycle struct{ from, quiet, end time.Duration }

func (w *World) cycles(length time.Duration) []cycle {
	var cs []cycle
	from := 2 * time.Second
	if w.Profile == "wan" {
		from = 6 * time.Second
	}
	if w.Early {
		from = 10 * time.Millisecond
	}
	for begin := time.Duration(0); begin < length; begin += w.Cycle {
		end := min(begin+w.Cycle, length)
		c := cycle{from: max(begin, from), quiet: end - w.Quiet, end: end}
		if c.quiet < c.from { // too short for a storm
			c.from = min(c.from, end)
			c.quiet = c.from
		}
		cs = append(cs, c)
	}
	return cs
}

// String is the world in one line.
func (w *World) String() string {
	return fmt.Sprintf("%d machines and %d spare, profile %s (lease %v, %d voters at most, hang after %v), network %+v, witnesses %v, leaders on join %v, log cut after %d entries, early faults %v, reckless %v, clock rates %v ppm",
		w.Machines, w.Spares, w.Profile, w.Settings.Lease(), w.Settings.MaxVoters, w.Settings.HangAfter(), w.Net, w.Witnesses, w.Leads, w.CompactAfter, w.Early, w.Reckless, w.Rates)
}
