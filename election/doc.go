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
// # Parts
//
// A Node is made of parts, each with its own state and file. A part knows those
// before it in this list and none after. What it finds comes back as a result. For
// the few things that concern the whole Node it has the interface parent.
//
//	base        what all have: the time, the committed ring, effects, wake-ups
//	replica     this member's copy of the log; the only one that touches raft
//	proposals   a leader's commands that are not applied yet
//	lease       where a leader's lease ends; knows no raft
//	promises    until when a voter is bound; knows no raft
//	roster      one record of each other member, and the verdict whether it is dead
//	identity    which process of a member counts
//	verdicts    how suspicions, probes and certificates become an eviction
//	campaign    when this member asks for votes
//	offers      whether this member could lead
//	recorder    the figures of a failover; decides nothing
//	leadership  what raft's leader knows, and its claim
//	renewal     asks for promises, and ends a leadership without a lease
//	caretaker   looks after an heir that is somebody else
//	requests    what operators and joiners ask for, handovers too
//	voters      changes of raft's configuration
//	watch       the leader's own look at who owes it an answer
//	leader      declares, evicts, and runs the parts above in order
//	membership  whether this member still is one
//	following   what this member knows of its leader
//	status      what an operator wants to know
//	links       with whom this member has to do
//	applier     carries out what raft wants, and applies what is committed
//
// After each input the Node runs a table of named rules in order (rules.go). Each rule
// does what follows from the present state and asks to be woken when time alone
// makes more follow. A new rule is a line in that table and a method of a part.
//
// What it does not guarantee: G2 holds only while any two clocks' rates differ
// by less than Settings.DriftPPM and the restarted process is given its log
// back as it was persisted.
package election
