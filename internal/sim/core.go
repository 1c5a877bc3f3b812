package sim

import (
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// Core is what the simulator drives: an election.Node, or one that a test
// bends on purpose.
type Core interface {
	Receive(now election.Instant, m election.Message)
	Report(now election.Instant, s ring.Opinion)
	MonitorRuns(now election.Instant, runs bool)
	Pinged(now election.Instant, p election.Ping)
	Certify(now election.Instant, c election.Certificate)
	Probed(now election.Instant, r election.ProbeResult)
	Persisted(now election.Instant, seq uint64)
	Unreachable(now election.Instant, id uint64)
	Readdress(now election.Instant, addresses []string)
	Request(now election.Instant, r election.Request)
	Answered(now election.Instant, a election.Standing)
	Standing(now election.Instant, id uint64) election.Standing
	Tick(now election.Instant)
	NextWake() election.Instant
	Effects() []election.Effect
	ClaimUntil() (term uint64, end election.Instant)
	LeaderUntil() election.Instant
	State() *ring.State
	Status(now election.Instant) election.Status
	StatusVersion(now election.Instant) election.StatusVersion
}

var _ Core = (*election.Node)(nil)

// Maker makes a Core.
type Maker func(election.Config, election.Recovered, election.Instant) (Core, error)

func realCore(cfg election.Config, rec election.Recovered, now election.Instant) (Core, error) {
	return election.New(cfg, rec, now)
}
