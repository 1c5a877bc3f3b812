// Package coordinator is the coordinator process: what runs on every machine
// of a ring beside its monitor.
//
// It is the shell around the pure packages ring and election. One goroutine,
// the event loop, owns the election.Node; everything else (gRPC handlers, the
// peer streams, the log's writer, the monitor's supervisor) hands it inputs
// through a bounded inbox and reads a published, immutable view. It serves the
// Arc, Peer and Probe services and gRPC health and reflection on TCP, and the
// same with Local on a unix socket. It starts the monitor, keeps it running,
// and tells it by the local queue whom to probe.
//
// It decides nothing that package ring or election could decide: not who
// leads, who is the heir, who is dead or who votes. What it does decide is how
// to enter a ring (resume, found, join), whether a joiner's name is free, how
// to leave, and what to do when its disk fails: stop, since a voter that
// cannot persist must not vote.
//
// Run is the only entry. It may be called once at a time for one data
// directory and one run directory, which it locks. It does not daemonize, does
// not exit the process, and installs no signal handler but one for SIGHUP.
//
// It does not guarantee that an orderly end succeeds: without a reachable
// majority nobody can leave a ring. It then ends within five seconds all the
// same and lets its monitor certify that it is gone.
package coordinator
