package membership

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/ring"
)

// Applicant is a joiner as it presents itself.
type Applicant struct {
	Cluster string
	// RingID is the ring that it was in and looks for, empty for any.
	RingID string
	Member ring.Member
}

// Check says what is wrong with a request to join the ring of cluster, whose id
// is ringID; all of it at once.
func (a Applicant) Check(cluster, ringID string) error {
	name := foreign.Quote(a.Member.Name)
	if a.Cluster != cluster {
		return fmt.Errorf("%w: this is cluster %q, the joiner %s wants %s; check --cluster and --join", ErrOtherRing, cluster, name, foreign.Quote(a.Cluster))
	}
	if a.RingID != "" && ringID != "" && a.RingID != ringID {
		return fmt.Errorf("%w: this is ring %s of cluster %q, the joiner %s wants ring %s", ErrOtherRing, ringID, cluster, name, foreign.Quote(a.RingID))
	}
	m := a.Member
	errs := []error{foreign.CheckName("name", m.Name)}
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(m.Incarnation == 0, "incarnation is 0")
	refuse(len(m.Addresses) == 0, "0 addresses, want 1 to %d", limits.Addresses)
	errs = append(errs, foreign.CheckAddresses(m.Addresses))
	if len(m.Version) <= ring.VersionMost {
		errs = append(errs, foreign.CheckText("version", m.Version))
	}
	refuse(len(m.Version) > ring.VersionMost, "version of %d bytes, at most %d", len(m.Version), ring.VersionMost)
	refuse(m.OnJoin.Number() < 0, "on_join %s is neither stay nor lead", foreign.Quote(string(m.OnJoin)))
	refuse(m.Witness && m.OnJoin == ring.Lead, "on_join is lead, but a witness never leads")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: join of %s: %w", ring.ErrInvalid, name, err)
	}
	return nil
}

// CheckNewName refuses a name that nobody is to get any more, unless the ring knows
// it from before: an earlier version took it.
func (a Applicant) CheckNewName(s *ring.State) error {
	name := a.Member.Name
	_, member := s.MemberByName(name)
	_, departed := s.DepartedByName(name)
	if member || departed || s.LastLed(name) > 0 {
		return nil
	}
	if err := foreign.CheckNewName("name", name); err != nil {
		return fmt.Errorf("%w: join of %s: %w; give it another --name", ring.ErrInvalid, foreign.Quote(name), err)
	}
	return nil
}

// CheckReach refuses a joiner that nobody but its own machine can dial, if it
// asks from another one: it would be evicted and join again without end. from is
// where the request came from, thisMachine whether that is this machine.
func (a Applicant) CheckReach(from netip.Addr, thisMachine bool) error {
	loopback := func(a string) bool {
		ap, err := netip.ParseAddrPort(a)
		return err == nil && ap.Addr().Unmap().IsLoopback()
	}
	if thisMachine || !from.IsValid() || slices.ContainsFunc(a.Member.Addresses, func(a string) bool { return !loopback(a) }) {
		return nil
	}
	return fmt.Errorf("%w: join of %s: it asks from %s, but no other machine reaches it at %s; give it a --bind address that the other members reach",
		ring.ErrInvalid, foreign.Quote(a.Member.Name), from, strings.Join(a.Member.Addresses, ", "))
}

// Known returns the id of a joiner that is a member by an earlier try, where
// nobody leads. A founder's ring has no leader before a majority of its voters is
// there, so that any member has to tell them who they are.
func (a Applicant) Known(s *ring.State, led bool) (id uint64, ok bool) {
	if led || s.RingID == "" {
		return 0, false
	}
	return s.JoinedAs(a.Member.Name, a.Member.Incarnation, a.Member.Nonce)
}
