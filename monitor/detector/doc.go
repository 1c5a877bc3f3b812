// Package detector decides when silence is a suspicion. It is pure: no clock, no
// goroutine, no chance. The time is an argument, so the daemon and the simulator
// run the same code.
//
// A Detector judges one member by its answers to numbered probes. A Watch holds
// one Detector for each member that the monitor probes now: the successor, and,
// while that one is in doubt, the members after it. A Hang judges the monitor's
// own coordinator.
//
// The order of calls: New (NewWatch), then Tick not later than NextTick says,
// and Pong, Broken and Refused when they happen. The times of succeeding calls
// must not decrease; they are readings of a monotonic clock with any origin,
// one origin per value. Nothing here may be called from two goroutines at once.
//
// A suspicion is only an opinion. The member may be alive behind a cut, or stopped
// for a while: the leader probes before it evicts. While the caller's own ticks
// come late, a silent member is noticed up to four times later than the settings
// say, but it is noticed.
package detector
