package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"strings"
	"time"
)

// Options describe a run. The zero value of each field has a default.
type Options struct {
	Seed uint64
	// Nodes is how many machines found and join the ring, 1 to 24; 0 means
	// that the seed draws 2 to 9 (NodesOf). Up to two more stand by for
	// operators who let somebody join.
	Nodes int
	// Length of the run in virtual time (default 60 s).
	Length time.Duration
	// Salt changes chance, not the plan of faults; for shrinking.
	Salt uint64
	// Keep, if not nil, leaves only these faults of the plan, by number.
	Keep []int
	// Plan, if not nil, replaces the plan that the seed makes.
	Plan []Fault
	// World, if not nil, may change the world that the seed makes.
	World func(*World)
	// Copies sends every message through its encoding; else chance decides.
	Copies bool
	// CountFrom is when the count of messages by machine begins, CountTo (0:
	// never) when it ends.
	CountFrom, CountTo time.Duration
	// Trace gets the readable story; Messages adds every message.
	Trace    io.Writer
	Messages bool
	// Contents lets Result.Hash cover what each message says, and not only when it
	// comes. A run takes longer then.
	Contents bool
	// Skip are checks, by name, that are not made.
	Skip []string
	// Make makes the cores; nil makes the real one.
	Make Maker
}

// The sizes of rings that a seed draws from.
const (
	smallestRing = 2
	largestRing  = 9
)

// NodesOf is the size of the ring that a seed draws.
func NodesOf(seed uint64) int {
	return smallestRing + rand.New(rand.NewPCG(seed, 4)).IntN(largestRing-smallestRing+1)
}

// allChecks names what a run checks, panics of the core aside.
var allChecks = []string{"G1", "G2", "G3", "G4", "G5", "G6", "log", "state", "ids", "start", "disk", "done", "effect", "flood", "asked", "told", "outage", "order", "founded", "paths"}

// Failure is a broken guarantee.
type Failure struct {
	// Check is the guarantee, such as G2, or "panic".
	Check string
	At    time.Duration
	Text  string
	Node  string
}

func (f *Failure) Error() string {
	who := ""
	if f.Node != "" {
		who = " at " + f.Node
	}
	return fmt.Sprintf("%s broken after %.6f s%s: %s", f.Check, f.At.Seconds(), who, f.Text)
}

// Result is what a run ended with.
type Result struct {
	Options Options
	Failure *Failure
	Plan    []Fault
	World   World
	Stats   Stats
	// Claims are all claims in the order of their begin.
	Claims []Claim
	// Known tells when a member learned of a new declared leader, Evicted
	// when a member was evicted, in order.
	Known, Evicted []Event
	Traffic        []Traffic
	// Joined are the machines by the id that each joined under, from 1 on; -1
	// where that is not known.
	Joined []int
	// Hash is the same for the same run.
	Hash   uint64
	Events int
}

// Claim is a span of true time in which a node claims.
type Claim struct {
	Node     string
	Term     uint64
	From, To time.Duration
}

// Replay is the command that runs it again.
func (r *Result) Replay() string {
	o := r.Options
	c := fmt.Sprintf("scripts/sim --seed %d --nodes %d --seconds %g", o.Seed, o.Nodes, o.Length.Seconds())
	if o.Salt != 0 {
		c += fmt.Sprintf(" --salt %d", o.Salt)
	}
	if o.Keep != nil {
		c += " --keep " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(o.Keep)), ","), "[]")
		if len(o.Keep) == 0 {
			c += "none"
		}
	}
	if o.Skip != nil {
		c += " --skip " + strings.Join(o.Skip, ",")
	}
	return c + " --trace"
}

// counters of the hot path; the rest goes by name.
const (
	cSent = iota
	cLost
	cCut
	cHeld
	cDoubled
	cReordered
	cTail
	cSteps
	cPings
	cInbox
	counters
)

var counterNames = [counters]string{"net: messages", "net: lost", "net: into a cut", "net: held by a cut", "net: doubled", "net: reordered", "net: late (tail)", "core: steps", "monitor: pings", "process: events while paused"}

// Stats count what happened, so that one sees what a soak covered.
type Stats struct {
	counts [counters]int
	Named  map[string]int
	// Heal is how long after the end of all faults the ring was whole, as
	// a share of the bound; the worst of the run.
	HealWorst time.Duration
	HealShare float64
	// LedShare is the longest time without a claim while a majority could talk,
	// as a share of its bound.
	LedShare float64
	// CommitShare is the longest time in which a leader that claimed and could talk
	// to a majority committed nothing of its log, as a share of that bound.
	CommitShare float64
}

func (st *Stats) count(name string, n int) {
	if n != 0 {
		st.Named[name] += n
	}
}

// Add sums up.
func (st *Stats) Add(o *Stats) {
	if st.Named == nil {
		st.Named = map[string]int{}
	}
	for k, v := range o.Named {
		st.Named[k] += v
	}
	for i, v := range o.counts {
		st.counts[i] += v
	}
	st.HealWorst = max(st.HealWorst, o.HealWorst)
	st.HealShare = max(st.HealShare, o.HealShare)
	st.LedShare = max(st.LedShare, o.LedShare)
	st.CommitShare = max(st.CommitShare, o.CommitShare)
}

// String lists all counts, sorted by name.
func (st *Stats) String() string {
	all := map[string]int{}
	for k, v := range st.Named {
		all[k] = v
	}
	for i, v := range st.counts {
		if v != 0 {
			all[counterNames[i]] = v
		}
	}
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%10d  %s\n", all[k], k)
	}
	fmt.Fprintf(&b, "%10.0f  %% of its bound: the longest time that a majority had no leader\n", 100*st.LedShare)
	fmt.Fprintf(&b, "%10.0f  %% of its bound: the longest time that a leader committed nothing of its log\n", 100*st.CommitShare)
	fmt.Fprintf(&b, "%10.2f  seconds: slowest repair; %.0f %% of its bound\n", st.HealWorst.Seconds(), 100*st.HealShare)
	return b.String()
}
