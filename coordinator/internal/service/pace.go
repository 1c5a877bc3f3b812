package service

import (
	"math"
	"net/netip"
	"time"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/rate"
)

// pace bounds how many connections and calls of strangers begin per second, and how
// often they are read from. A connection costs its sender less than it costs this node,
// and what a flood of them takes of the processor the ring would miss. One that is
// refused costs next to nothing.
//
// The machine of a member has an account of its own, so that strangers keep no member
// out. So has that of a joiner, once its hello was believed. This machine itself has
// none: its programs need no network to use up its processor.
type pace struct {
	connects, calls, refusals, reads account
}

// account is how often something was done.
type account struct{ strangers, members rate.Limiter[netip.Addr] }

// origin is where a connection comes from.
type origin int

const (
	fromElsewhere origin = iota
	fromMember
	fromHere
)

func newPace() *pace {
	account := func(times float64) account {
		return account{
			strangers: rate.Limiter[netip.Addr]{Each: times * limits.HostPerSecond, All: times * limits.StrangersPerSecond, Most: limits.Hosts},
			members:   rate.Limiter[netip.Addr]{Each: times * limits.HostPerSecond, Most: math.MaxInt}, // the ring and discovery bound them
		}
	}
	return &pace{connects: account(1), calls: account(1), refusals: account(1), reads: account(limits.PiecesPerCall)}
}

// allow reports whether one more may begin now.
func (a *account) allow(now time.Time, host netip.Addr, from origin) bool {
	switch from {
	case fromHere:
		return true
	case fromMember:
		return a.members.Allow(now, host)
	default:
		return a.strangers.Allow(now, host)
	}
}
