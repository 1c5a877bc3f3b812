package bench

import (
	"context"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// System is one program with one setting, as it is measured and named in the
// tables.
type System struct {
	// ID is what --only is compared with, as keepalived/10ms.
	ID string
	// Name and Setting are for people.
	Name, Setting string
	// MaxHosts bounds the hosts that it is run on, 0 means any number; Why says
	// what is beyond it.
	MaxHosts int
	Why      string
	// Leaderless systems only tell that a member has failed.
	Leaderless bool
	// Takes is about how long its quickest failover takes with n hosts, as its
	// settings say. From this follows in how many labs it may be measured side
	// by side (see labs), and how often it is looked at.
	Takes func(n int) time.Duration
	// Rest is how long it is left alone after it has settled; a fault then falls
	// at random within one Period.
	Rest, Period time.Duration
	// Patience is how long a failover may take, with n hosts.
	Patience func(n int) time.Duration

	// provide finds the programs or fetches them. Its error says why this
	// system is skipped.
	provide func(ctx context.Context, s *installer) (programs, error)
	// begin makes what runs the system on the hosts of an environment.
	begin func(e *trialEnv, p programs) daemon
}

// always is a time that does not depend on the number of hosts.
func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

// formBound bounds how long n hosts may take to settle, at the start and after
// a trial.
func (s System) formBound(n int) time.Duration {
	return 20*time.Second + time.Duration(n)*time.Second/2 + 3*s.Takes(n)
}

// look is how often is looked whether something has happened that takes about d.
// Nothing measured depends on it, only when the next thing is begun.
func look(d, atLeast time.Duration) time.Duration { return min(max(d/200, atLeast), 10*atLeast) }

// programs are what a system runs.
type programs struct {
	// Path is the daemon's program.
	Path string
	// Env is added to its environment.
	Env []string
	// Args are told the daemon beyond what the system's setting says, since this
	// version knows them.
	Args []string
	// Secret: it takes a file with a secret.
	Secret bool
	// Version is for the report.
	Version string
}

// daemon is a system on the hosts of one lab.
type daemon interface {
	// start starts the daemon on a host, also again after it was killed, and
	// has the timeline told from now on what is seen there.
	start(h *netlab.Host) error
	// unready says why the whole is not settled yet; empty if each host that
	// runs a daemon is a member and all agree on a leader that acts.
	unready() string
	// mortal returns the processes that a kill -9 of the leader kills.
	mortal(h *netlab.Host) []netlab.Found
	// mend makes a host a member again whose cable was out or whose processes
	// were stopped, if it does not become one by itself.
	mend(h *netlab.Host) error
	// close ends the observers.
	close()
}
