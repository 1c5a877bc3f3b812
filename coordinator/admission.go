package coordinator

import (
	"errors"
	"fmt"
	"slices"

	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// admission is what is to be done about a joiner, as far as the committed ring
// can tell.
type admission struct {
	// already is the member that an earlier try of the same join made.
	already *ring.Member
	// replaces is the joiner's older self.
	replaces uint64
	// doubtful is a member of that name at another address: only if its
	// coordinator does not answer may the joiner take its place.
	doubtful *ring.Member
}

// admit applies the rules for a joiner's name: an unused one is free; the same
// machine (an address in common) replaces its old self; anybody else's is free
// only when its holder is gone.
func admit(s *ring.State, r *arcv1.JoinRequest) admission {
	m, ok := s.MemberByName(r.GetName())
	switch {
	case !ok:
		return admission{}
	case m.Incarnation == r.GetIncarnation() && m.Nonce == r.GetNonce():
		return admission{already: &m}
	case m.Incarnation == r.GetIncarnation(), overlap(m.Addresses, r.GetAddresses()):
		return admission{replaces: m.ID}
	default:
		return admission{doubtful: &m}
	}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// checkJoin says what is wrong with a request to join the ring of cluster,
// whose id is ringID; all of it at once.
func checkJoin(cluster, ringID string, r *arcv1.JoinRequest) error {
	name := foreign.Quote(r.GetName())
	if r.GetCluster() != cluster {
		return fmt.Errorf("%w: this is cluster %q, the joiner %s wants %s; check --cluster and --join", ErrOtherRing, cluster, name, foreign.Quote(r.GetCluster()))
	}
	if want := r.GetRingId(); want != "" && ringID != "" && want != ringID {
		return fmt.Errorf("%w: this is ring %s of cluster %q, the joiner %s wants ring %s", ErrOtherRing, ringID, cluster, name, foreign.Quote(want))
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
