// Package coordinator is the coordinator process: what runs on every machine
// of a ring beside its monitor.
//
// It is the shell around the pure packages ring and election. Its parts lie below
// internal, each with a job of its own:
//
//	loop       owns the core: inbox, turns, effects, the log's writer
//	publish    views and events, which everybody else reads
//	service    answers calls on TCP and on the unix socket
//	supervise  starts the monitor and tells it whom to probe
//	transport  carries messages to and from other coordinators
//	reason     the errors that callers get, and their codes
//
// This package ties them together. It takes directories and addresses, enters a
// ring (resume, found, join), lives in it, and leaves it. When its disk fails it
// halts, since a voter that cannot persist must not vote, and goes on when the disk
// does.
//
// It decides nothing that package ring or election could decide: not who leads,
// who is the heir, who is dead or who votes.
//
// Run is the only entry, beside OpenRecovery for a ring that is lost. It may be
// called once at a time for one data directory and one run directory, which it
// locks. It does not daemonize, does not exit the process, and installs no signal
// handler but one for SIGHUP.
//
// It does not guarantee that an orderly end succeeds: without a reachable majority
// nobody can leave a ring. It then ends within five seconds all the same, and its
// monitor certifies its death.
package coordinator
