// Package election decides who may lead and when: renewals and leases,
// promises, certificates, ranked campaigns, the caretaker, evictions, who
// votes, and planned handovers. It drives the RawNode of go.etcd.io/raft/v3,
// which keeps the log safe and decides who wins; when somebody campaigns is
// decided here.
//
// It is pure. A Node is stepped by its owner, one call at a time, each with
// the present monotonic time; what it wants done comes out of Effects as plain
// values. It starts no goroutine, reads no clock, draws no random number of
// its own and touches no socket and no file. The daemon and the simulator run
// this same code.
//
// The order of calls is: New once; then any of Receive, Report, Certify,
// Probed, Persisted, Unreachable, Request and Tick; after each, Effects,
// carried out in their order; and Tick again not later than NextWake.
//
// What it does not guarantee: G2 holds only while any two clocks' rates differ
// by less than Settings.DriftPPM and the restarted process is given its log
// back as it was persisted.
package election
