package ring

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Assumed is what no setting bounds: how long the network, disks and kernel
// take.
type Assumed struct {
	// RoundTrip is a message and its answer between two coordinators.
	RoundTrip time.Duration
	// Sync is to make a write durable.
	Sync time.Duration
	// Notice is until the kernel told a monitor that a process exited or a
	// stream broke.
	Notice time.Duration
}

// Assume returns what fits a profile: a LAN, or the distance between sites.
func (s Settings) Assume() Assumed {
	a := Assumed{RoundTrip: time.Millisecond, Sync: time.Millisecond, Notice: 3 * time.Millisecond}
	if s.Lease() >= time.Second {
		a.RoundTrip = 80 * time.Millisecond
	}
	return a
}

// election is pre-vote and vote; the voters write their vote down.
func (a Assumed) election() time.Duration { return 2*a.RoundTrip + a.Sync }

// declaration is an entry through a majority, the leader's own copy among it.
func (a Assumed) declaration() time.Duration { return a.RoundTrip + a.Sync }

// Fault is a way in which a ring loses its leader.
type Fault string

const (
	// FaultCrash: the coordinator dies, its monitor certifies that.
	FaultCrash Fault = "crash"
	// FaultBoth: coordinator and monitor die together, their machine lives.
	FaultBoth Fault = "both-processes"
	// FaultSilence: power, cable, kernel.
	FaultSilence Fault = "silence"
	// FaultStopped: the process stands still, its connections stay.
	FaultStopped Fault = "stopped"
	// FaultUngranted: silence while the renewals name no grant, since the watcher
	// was late just before. Only with grants.
	FaultUngranted Fault = "silence-ungranted"
	// FaultHeir: leader and heir fall silent together.
	FaultHeir Fault = "heir-too"
	// FaultWatcher: leader and watcher fall silent together, and the watcher is
	// the heir.
	FaultWatcher Fault = "watcher-too"
	// FaultPartial: the leader is cut off, and the others see one another only in
	// part, so that those who come first in the succession reach no majority.
	FaultPartial Fault = "partial"
	// FaultHandover is no fault: a planned change.
	FaultHandover Fault = "handover"
)

// Phase is one part of a failover.
type Phase struct {
	// Name is one of detected, promises_ended, stagger, elected, confirmed,
	// handed_over, declared.
	Name string
	Took time.Duration
	// Rule is where that comes from.
	Rule string
}

// Failover is the worst case from a fault to the next leader's claim, while a
// majority of the voters can talk, no message is lost, and no process has to
// wait for a processor.
type Failover struct {
	Fault   Fault
	Meaning string
	// Phases follow one another.
	Phases []Phase
}

// Total is the sum of the phases.
func (f Failover) Total() time.Duration {
	var sum time.Duration
	for _, p := range f.Phases {
		sum += p.Took
	}
	return sum
}

// Failovers returns the worst case of every kind of fault under valid settings.
// With grants all but FaultUngranted hold while the leader's renewals name one:
// for some milliseconds after its watcher was late the lease counts.
func (s Settings) Failovers(a Assumed) []Failover {
	// Each phase is counted from the end of the one before it.
	hop := a.RoundTrip / 2
	drift, times := "", "" // by name, and by value
	if s.DriftPPM != 0 {
		drift, times = " × (1 + drift)", " × "+strconv.FormatFloat(float64(1e6+s.DriftPPM)/1e6, 'f', -1, 64)
	}
	silence := Phase{"detected", s.Stretched(s.Detection(true)) + hop,
		fmt.Sprintf("leader_interval_ms × (leader_misses + 1)%s = %d × %d%s, and a message", drift, s.LeaderIntervalMS, s.LeaderMisses+1, times)}
	lease := fmt.Sprintf("lease_ms%s = %d%s from the last renewal", drift, s.LeaseMS, times)
	alone := Phase{"detected", s.Stretched(s.Lease()), lease + ": the voters notice by themselves, and have asked it in vain"}
	if !s.LeaderGrants && alone.Took < silence.Took {
		silence = alone
	}
	elected := Phase{"elected", a.election(), "pre-vote and vote: 2 round trips, 1 sync"}
	vote := Phase{"elected", a.RoundTrip + a.Sync, "a vote, no pre-vote is needed: 1 round trip, 1 sync"}
	declared := Phase{"declared", a.declaration(), "1 round trip, 1 sync; the first renewal travels along"}
	stagger := Phase{"stagger", s.Stretched(s.Stagger()), fmt.Sprintf("stagger_ms%s = %d%s: the second heir's turn", drift, s.StaggerMS, times)}
	confirm := func(of string) Phase {
		return Phase{"confirmed", max(a.declaration(), s.Stretched(s.OwnProbe())),
			fmt.Sprintf("the winner's own probe of %s: max(2 × interval_ms, 50 ms)%s = %v%s; meanwhile an entry of the new term", of, drift, s.OwnProbe(), times)}
	}
	interval, misses := s.Link(true)
	// promises is what is left of them once the fault is detected.
	promises := func(detected time.Duration) Phase {
		if s.LeaderGrants {
			return Phase{"promises_ended", max(s.Stretched(s.GrantLength())+hop-detected, 0),
				fmt.Sprintf("the watcher testifies, %v%s after its last pong: leader_interval_ms × (leader_misses + ½)%s", s.GrantLength(), times, drift)}
		}
		return Phase{"promises_ended", max(s.Stretched(s.Lease())-detected, 0), lease + ", less what has passed"}
	}
	refused := Phase{"detected", a.Notice + a.RoundTrip + hop, "the stream breaks, the redial is refused, a message"}
	both := promises(refused.Took)
	if look := s.Stretched(interval * time.Duration(max(misses-1, 1))); s.LeaderGrants && look > both.Took {
		both.Took = look
		both.Rule = fmt.Sprintf("who would lead looks for itself: leader_interval_ms × (leader_misses − 1)%s; the watcher testifies meanwhile", drift)
	}
	all := []Failover{
		{FaultCrash, "the coordinator dies, its monitor certifies it", []Phase{
			{"detected", a.Notice + hop, "the kernel tells the monitor, a message"}, {"promises_ended", 0, "a certificate voids them"}, vote, declared}},
		{FaultBoth, "coordinator and monitor die together, their host lives", []Phase{refused, both, elected, declared}},
		{FaultSilence, "cable, power or kernel: the host is silent", []Phase{silence, promises(silence.Took), elected, declared}},
		{FaultStopped, "the coordinator stands still, its connections stay", []Phase{silence, promises(silence.Took), elected, declared}},
		{FaultHeir, "leader and heir fall silent together", []Phase{silence, promises(silence.Took), stagger, elected, confirm("the heir"), declared}},
		{FaultWatcher, "leader and watcher fall silent together, and the watcher is the heir", []Phase{alone,
			{"promises_ended", 0, "they end with the silence"}, stagger, elected, confirm("the heir"), declared}},
		{FaultPartial, "the leader is cut off, and the others see one another only in part", []Phase{alone,
			{"promises_ended", 0, "they end with the silence, or the leader releases those whom it still reaches"},
			{"stagger", s.Stretched(s.Stagger() * time.Duration(s.MaxVoters-1)),
				fmt.Sprintf("stagger_ms × (max_voters − 1)%s = %d × %d%s: the turn of the last voter", drift, s.StaggerMS, s.MaxVoters-1, times)},
			elected, confirm("those who come before it"),
			{"handed_over", a.RoundTrip + vote.Took, "the heir is asked whether it could lead, and told to"}, declared}},
		{FaultHandover, "handover, leave or SIGTERM, from the release on", []Phase{
			{"detected", a.RoundTrip + hop, "what it still lacks of the log, a round trip; the release and the word to take over, a message"},
			{"promises_ended", 0, "the release voids them"},
			vote, declared}},
	}
	if s.LeaderGrants {
		all = slices.Insert(all, 4, Failover{FaultUngranted, "silence just after the watcher was late, while renewals name no grant",
			[]Phase{silence, {"promises_ended", max(s.Stretched(s.Lease())-silence.Took, 0), lease + ", less what has passed"}, elected, declared}})
	}
	return all
}

// FailoverBound is the longest of Failovers.
func (s Settings) FailoverBound(a Assumed) time.Duration {
	return slices.MaxFunc(s.Failovers(a), func(a, b Failover) int { return cmp.Compare(a.Total(), b.Total()) }).Total()
}

// MinorityClaim is for how long at most a leader goes on claiming that was cut
// off together with a minority: its lease, by its own clock. If the watcher is
// on the other side, Alone is the shorter one that grants make of it.
func (s Settings) MinorityClaim() (most, alone time.Duration) {
	most, alone = s.LeaderLease(), s.LeaderLease()
	if s.LeaderGrants {
		alone = min(most, s.Shortened(s.GrantLength()))
	}
	return most, alone
}

// LocalWorkWaits is how long a new leader's program waits, from the old one's last
// renewal, where nothing but time keeps the two apart: the lease, and the grace in
// which the old leader's program stops. Nothing in ARC waits for it yet.
func (s Settings) LocalWorkWaits() time.Duration { return s.Stretched(s.Lease()) + ms(s.GraceMS) }
