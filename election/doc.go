// Package election decides who may lead and when: renewals and leases, promises,
// certificates, ranked campaigns, the caretaker, evictions, who votes, and planned
// handovers. It drives the RawNode of go.etcd.io/raft/v3, which keeps the log safe
// and decides who wins. This package decides when a member campaigns.
//
// It is pure. Its owner steps a Node, one call at a time, each with the present
// monotonic time. Effects returns as plain values what has to be done. It starts
// no goroutine, reads no clock, draws no random number of its own and touches no
// socket and no file. The daemon and the simulator run this same code.
//
// The order of calls is: New once; then any of the inputs, which are Tick,
// Receive, Report, Certify, Probed, Persisted, Unreachable, Readdress, Request,
// MonitorRuns, Pinged and Answered (step.go); after each, Effects, carried out in
// their order; and Tick again not later than NextWake. Methods that only read the
// Node may be called between them (node.go).
//
// # Parts
//
// A Node is made of parts, each with its own state. A part knows those before it
// in this list and none after. It returns what it finds as a result. For the few
// things that concern the whole Node it has the interface parent. The recorder is its
// observer. The struct of a part stands in the first file of its line.
//
//	base        what all have: the time, the committed ring, effects, wake-ups (base.go)
//	replica     this member's copy of the log, and raft's RawNode (replica.go,
//	            configuration.go, log.go, storage.go, plausible.go)
//	proposals   a leader's commands that are not applied yet (proposals.go)
//	lease       where a leader's lease ends: leaseEnd (lease.go, grant.go); it steps no raft
//	promises    until when a voter is bound (promises.go); it steps no raft
//	roster      one record of each other member (roster.go)
//	identity    which process of a member counts (identity.go, claim.go, returns.go,
//	            misjudged.go, superseded.go)
//	verdicts    whether a member is dead, and may be evicted (verdict.go, inspect.go)
//	campaign    when this member asks for votes (campaign.go, committed.go)
//	offers      whether this member could lead (offers.go)
//	recorder    the figures of a failover; decides nothing (recorder.go, lastclaim.go,
//	            phases.go)
//	leadership  what raft's leader knows, and its claim (leadership.go, heartbeat.go)
//	caretaker   looks after an heir that is somebody else (caretaker.go, handon.go)
//	requests    what operators and joiners ask for (requests.go, admission.go,
//	            handover.go, stop.go, forget.go)
//	watch       the leader's own look at who owes it an answer (watch.go)
//	leader      declares and evicts (leader.go), asks for promises and ends a leadership
//	            without a lease (renewal.go), changes who votes (confchange.go)
//	membership  whether this member still is one (membership.go)
//	following   what this member knows of its leader (following.go)
//	status      what an operator wants to know (status.go, tolerance.go, missing.go)
//	links       with whom this member has to do (links.go)
//	applier     carries out what raft wants, and applies what is committed (applier.go)
//
// After each input the Node runs a table of named rules (rules.go). Each rule does what
// follows from the present state and asks to be woken when time alone makes more follow.
// A new rule is a line in the table and a method of a part.
//
// These steps decide who leads: ring.State.Heir (ring/state.go) says whose turn it
// is, campaign when each member asks for votes, raft who wins, leader.declareRule
// whether the winner is the heir, ring.State.Apply (ring/apply.go) whether its
// declaration takes effect, and leadership.claimUntil until when it may act.
//
// A suspicion becomes an eviction in these steps: verdicts.ownSuspicion notes what the
// own monitor says, verdicts.suspicion what others say, verdicts.confirm what the
// leader's own probe finds; verdicts.against says whether that is enough, and
// leader.evictRule proposes the eviction. A leader that is dead is evicted by its heir's
// declaration instead (leader.declareRule, which asks verdicts.evidence).
//
// G2 holds only while any two clocks' rates differ by less than Settings.DriftPPM,
// and a restarted process gets its log back as it was persisted.
package election
