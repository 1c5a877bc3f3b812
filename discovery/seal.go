package discovery

import (
	"fmt"
	"strings"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
)

const (
	// sealing is the header of a datagram's last field, the authenticator: its number
	// and its length. The tag is all that follows.
	sealing = "\x1a\x10"
	// bareMost is what a datagram has for magic and content. The rest is for a seal, also
	// where there is none: what is advertised must not depend on it.
	bareMost = limits.Datagram - len(sealing) - trust.TagSize
)

// seals puts seals on what leaves and takes them off what comes. It is nil in the
// clear.
type seals func() trust.Seals

func (s seals) seal(b []byte) []byte {
	if s == nil {
		return b
	}
	return s().Seal(append(b, sealing...))
}

// open takes the seal off a datagram. It decodes nothing: without a seal of this
// cluster the error is a stranger's, and the rest is noise.
func (s seals) open(b []byte) ([]byte, error) {
	switch {
	case len(b) > limits.Datagram:
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, limits.Datagram)
	case !strings.HasPrefix(string(b[:min(len(b), len(magic))]), magic):
		return nil, fmt.Errorf("%w: it does not start with %s", ErrMalformed, magic)
	case s == nil:
		return b, nil
	}
	tagged := len(b) - trust.TagSize
	if tagged < len(magic)+len(sealing) || string(b[tagged-len(sealing):tagged]) != sealing {
		return nil, errNoSeal
	}
	if _, ok := s().Open(b); !ok {
		return nil, errOtherSeal
	}
	return b[:tagged-len(sealing)], nil
}

// stranger is why a datagram was not read, and what can be done about it.
type stranger struct{ reason, hint string }

func (s *stranger) Error() string { return s.reason }

var (
	errNoSeal = &stranger{"it has no seal",
		"the coordinator there runs without a secret (--insecure): if it belongs to this cluster, give it this cluster's --secret-file"}
	errOtherSeal = &stranger{"it has another seal",
		"the coordinator there has another secret, or another --cluster: if it belongs to this cluster, give it the same ones"}
	errSealed = &stranger{"it has a seal",
		"the coordinator there has a secret and this one has none: if they belong together, give this one the same --secret-file"}
)
