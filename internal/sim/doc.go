// Package sim runs the real core of ARC, packages ring, election and paths, in a
// world that it makes up: machines with clocks, disks, processes and
// monitors, a network between them, operators, and faults of every kind. One
// goroutine, virtual time, one seed: the same seed gives the same run.
//
// After every step it checks what the design guarantees (see check.go and
// ledger.go, and package verify for G1 to G3): one declared leader per term,
// never two claims at one instant, only heirs declared, nobody evicted who was
// alive and reachable, a minority's claim over within one lease, one log, and a
// closed ring within a bound once the faults are over. The checks do not use the
// core's own rules: the heir, the membership and the configuration are worked
// out a second time.
//
// It does not show that the daemon's shell (sockets, files, real processes) does
// what is modelled here. The shell of the simulator, which carries out the core's
// effects, is its own. The lab runs the real one.
package sim
