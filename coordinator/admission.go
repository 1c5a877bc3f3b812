package coordinator

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// nameMax bounds names of nodes and clusters, in bytes; discovery's datagrams
// have no room for longer ones.
const nameMax = 128

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
	if r.GetCluster() != cluster {
		return fmt.Errorf("%w: this is cluster %q, the joiner %q wants %q; check --cluster and --join", ErrOtherRing, cluster, r.GetName(), r.GetCluster())
	}
	if want := r.GetRingId(); want != "" && ringID != "" && want != ringID {
		return fmt.Errorf("%w: this is ring %s of cluster %q, the joiner %q wants ring %s", ErrOtherRing, ringID, cluster, r.GetName(), want)
	}
	var errs []error
	errs = append(errs, checkName("name", r.GetName()))
	if r.GetIncarnation() == 0 {
		errs = append(errs, errors.New("incarnation is 0"))
	}
	if n := len(r.GetAddresses()); n == 0 || n > addressesMax {
		errs = append(errs, fmt.Errorf("%d addresses, want 1 to %d", n, addressesMax))
	}
	for _, a := range r.GetAddresses() {
		errs = append(errs, checkAddress(a))
	}
	if o := ring.OnJoin(r.GetOnJoin()); o != "" && o != ring.Stay && o != ring.Lead {
		errs = append(errs, fmt.Errorf("on_join %q is neither stay nor lead", o))
	}
	if r.GetWitness() && ring.OnJoin(r.GetOnJoin()) == ring.Lead {
		errs = append(errs, errors.New("on_join is lead, but a witness never leads"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: join of %q: %w", ring.ErrInvalid, r.GetName(), err)
	}
	return nil
}

// checkName is the rule for the names of nodes and clusters: they are printed
// in tables, and typed on command lines.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is empty", what)
	case len(name) > nameMax:
		return fmt.Errorf("%s %q… has %d bytes, at most %d", what, name[:16], len(name), nameMax)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %q is not UTF-8", what, name)
	}
	for _, r := range name {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return fmt.Errorf("%s %q has a space or a character that does not print", what, name)
		}
	}
	return nil
}

func checkAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("address %q is not HOST:PORT: %w", a, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || len(a) > 255 {
		return fmt.Errorf("address %q is not HOST:PORT with a port from 1 to 65535", a)
	}
	return nil
}
