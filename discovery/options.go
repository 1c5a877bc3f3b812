package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Options is what New needs.
type Options struct {
	// Cluster and Name are one printable word each, at most limits.Name bytes.
	// Incarnation is this start's random number, not 0.
	Cluster     string
	Name        string
	Incarnation uint64
	// Addresses are the HOST:PORT at which this coordinator's TCP port is
	// reached; the first ones are advertised, at most limits.Addresses and as many as
	// a datagram holds. Without any nothing is said until SetAddresses.
	Addresses []string
	// Witness: this node never leads, so it never founds; it counts among the
	// expected ones and gives its word to a founder.
	Witness bool

	// Bind limits hellos to the interfaces that have one of these addresses;
	// none, or an unspecified one, stands for all that are up. With loopback
	// addresses alone nothing is sent to or taken from other interfaces.
	Bind []netip.Addr
	// Interfaces limits hellos to the named interfaces as well.
	Interfaces []string
	// Port is the UDP port that all coordinators of a host share.
	Port int

	// Expect > 0 lets this node found a ring together with others that expect
	// as many; at most limits.Founders.
	Expect int
	// Ask asks the coordinator at the address (HOST:PORT) to accept this node
	// as the founder; it is Peer.AcceptFounder. An error stands for no answer
	// and is tried again; what the other one's Accept returned as an error has
	// to come back as one. Needed if Expect > 1. It is called by many
	// goroutines at once, with a context that ends within two seconds.
	Ask func(ctx context.Context, address string, req *peerv1.AcceptFounderRequest) (accepted bool, reason string, err error)
	// Words are those that this node's former processes gave and Keep kept. Keep,
	// if not nil, makes all words durable: before a founder gets one, and when they
	// have changed. None are left once SetRing has named a ring and its leader.
	// KeptAt is where they are, for messages.
	Words  []Word
	Keep   func([]Word) error
	KeptAt string
	// OnForeignRing is told of another ring of the same cluster, at most every ten
	// seconds for each. It must not block.
	OnForeignRing func(*arcv1.OtherRing)
	// OnFellow is told of every hello and answer of another node of this node's
	// ring. It must not block.
	OnFellow func(*discoveryv1.Node)

	// Seals are the present ones of the cluster's secrets. With nil, all is in the clear.
	Seals func() trust.Seals

	// Logger may be nil.
	Logger hclog.Logger
}

// validate returns everything that is wrong, joined; it wraps ErrOptions.
func (o *Options) validate() error {
	self := &discoveryv1.Node{Name: o.Name, Incarnation: o.Incarnation, Addresses: o.Addresses[:min(len(o.Addresses), limits.Addresses)]}
	problems := []error{foreign.CheckName("cluster", o.Cluster), checkNode(self)}
	bad := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	bad(o.Port < 1 || o.Port > 65535, "port %d is not from 1 to 65535", o.Port)
	bad(o.Expect < 0 || o.Expect > limits.Founders, "expect %d is not from 0 to %d", o.Expect, limits.Founders)
	bad(o.Expect == 1 && o.Witness, "expect 1, but a witness never founds")
	bad(o.Expect > 1 && o.Ask == nil, "expect %d without a way to ask the others", o.Expect)
	bad(o.Seals != nil && o.Seals().Empty(), "no secret to seal hellos with: give --secret-file, or go without hellos by --no-autodiscovery --join HOST:PORT")
	bad(o.OnForeignRing == nil || o.OnFellow == nil, "OnForeignRing or OnFellow is not set")
	err := errors.Join(problems...)
	if err == nil && len(o.Addresses) > 0 && len(o.node().Addresses) == 0 {
		err = fmt.Errorf("no room for the address %q in a datagram of %d bytes: use shorter names", o.Addresses[0], limits.Datagram)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}

// node returns this node with as many of its addresses as are advertised: those
// that fit in the largest datagram that it may have to send.
func (o *Options) node() *discoveryv1.Node {
	n := &discoveryv1.Node{
		Name: o.Name, Incarnation: o.Incarnation, Witness: o.Witness,
		Addresses: slices.Clone(o.Addresses[:min(len(o.Addresses), limits.Addresses)]),
	}
	longest := strings.Repeat("x", limits.Name)
	for len(n.Addresses) > 0 {
		_, err := encode(&discoveryv1.Hello{
			Cluster: o.Cluster, Node: n, Nonce: 1 << 63, Attempt: 1 << 31,
			Ring:     &discoveryv1.Ring{RingId: longest, Leader: longest},
			Founding: &discoveryv1.Founding{Expect: limits.Founders},
			Stamp:    &discoveryv1.Stamp{SentAt: 1 << 62, Number: 1 << 63, Since: 1 << 62, Source: make([]byte, 16+2)},
		}, bareMost)
		if err == nil {
			break
		}
		n.Addresses = n.Addresses[:len(n.Addresses)-1]
	}
	return n
}

// Found is how a search ended: with a ring to join, or with the right to found
// one.
type Found struct {
	// RingID is the ring to join; empty if Founder.
	RingID string
	// LeaderName and LeaderAddresses are empty if no member in reach knew a
	// leader within a second. The address that the answer came from is first.
	LeaderName      string
	LeaderAddresses []string
	// From is the member that answered.
	From          string
	FromAddresses []string

	// Founder: every other node named accepted this one as the founder. The
	// caller founds the ring at once and then calls SetRing; calling Seek
	// again instead says that it did not found.
	Founder bool
	// Names are those that take part in the founding, this node's own first,
	// the rest sorted. Others are those nodes without this one.
	Names  []string
	Others []*discoveryv1.Node
}

// nearestFirst returns the addresses, those at the host that was heard first.
func nearestFirst(addresses []string, source netip.Addr) []string {
	var near, far []string
	for _, a := range addresses {
		if ap, err := netip.ParseAddrPort(a); err == nil && ap.Addr().Unmap() == source.Unmap() {
			near = append(near, a)
		} else {
			far = append(far, a)
		}
	}
	return append(near, far...)
}
