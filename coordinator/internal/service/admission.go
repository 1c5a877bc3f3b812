package service

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// checkJoin says what is wrong with a request to join the ring of cluster,
// whose id is ringID; all of it at once.
func checkJoin(cluster, ringID string, r *arcv1.JoinRequest) error {
	name := foreign.Quote(r.GetName())
	if r.GetCluster() != cluster {
		return fmt.Errorf("%w: this is cluster %q, the joiner %s wants %s; check --cluster and --join", reason.ErrOtherRing, cluster, name, foreign.Quote(r.GetCluster()))
	}
	if want := r.GetRingId(); want != "" && ringID != "" && want != ringID {
		return fmt.Errorf("%w: this is ring %s of cluster %q, the joiner %s wants ring %s", reason.ErrOtherRing, ringID, cluster, name, foreign.Quote(want))
	}
	var errs []error
	errs = append(errs, foreign.CheckName("name", r.GetName()))
	if r.GetIncarnation() == 0 {
		errs = append(errs, errors.New("incarnation is 0"))
	}
	if len(r.GetAddresses()) == 0 {
		errs = append(errs, fmt.Errorf("0 addresses, want 1 to %d", foreign.MaxAddresses))
	}
	errs = append(errs, foreign.CheckAddresses(r.GetAddresses()))
	if v := r.GetVersion(); len(v) > ring.VersionMost {
		errs = append(errs, fmt.Errorf("version of %d bytes, at most %d", len(v), ring.VersionMost))
	} else {
		errs = append(errs, foreign.CheckText("version", v))
	}
	if o := ring.OnJoin(r.GetOnJoin()); o != "" && o != ring.Stay && o != ring.Lead {
		errs = append(errs, fmt.Errorf("on_join %s is neither stay nor lead", foreign.Quote(string(o))))
	}
	if r.GetWitness() && ring.OnJoin(r.GetOnJoin()) == ring.Lead {
		errs = append(errs, errors.New("on_join is lead, but a witness never leads"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: join of %s: %w", ring.ErrInvalid, name, err)
	}
	return nil
}

// checkReach refuses a joiner that nobody but its own machine can dial, if it
// asks from another one: it would be evicted and join again without end. from is
// where the request came from, thisMachine whether that is this machine.
func checkReach(r *arcv1.JoinRequest, from netip.AddrPort, thisMachine bool) error {
	loopback := func(a string) bool {
		ap, err := netip.ParseAddrPort(a)
		return err == nil && ap.Addr().Unmap().IsLoopback()
	}
	if thisMachine || !from.IsValid() || slices.ContainsFunc(r.GetAddresses(), func(a string) bool { return !loopback(a) }) {
		return nil
	}
	return fmt.Errorf("%w: join of %s: it asks from %s, but no other machine reaches it at %s; give it a --bind address that the other members reach",
		ring.ErrInvalid, foreign.Quote(r.GetName()), from.Addr(), strings.Join(r.GetAddresses(), ", "))
}
