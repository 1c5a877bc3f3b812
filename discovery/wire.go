package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// magic begins every datagram. One that goes over a bound of package limits is
// dropped whole. Cluster, names, classes and ring ids keep to foreign.CheckName,
// addresses to foreign.CheckAddresses.
const magic = "ARC1"

// content is a hello or an answer.
type content interface {
	proto.Message
	GetCluster() string
	GetNode() *discoveryv1.Node
	GetRing() *discoveryv1.Ring
	GetFounding() *discoveryv1.Founding
	GetStamp() *discoveryv1.Stamp
}

// kind is what errors call it.
func kind(c content) string { return strings.ToLower(string(c.ProtoReflect().Descriptor().Name())) }

// encode returns the datagram without a seal, in at most so many bytes. It leaves out
// heard names and then addresses of the leader, the last ones first, until it fits;
// the error says by how much the rest is too long.
func encode(c content, most int) ([]byte, error) {
	for {
		b, err := marshal(c, most)
		if err == nil || !shorten(c) {
			return b, err
		}
	}
}

func marshal(c content, most int) ([]byte, error) {
	b, err := proto.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind(c), err)
	}
	d := &discoveryv1.Datagram{Content: &discoveryv1.Datagram_Hello{Hello: b}}
	if _, ok := c.(*discoveryv1.Answer); ok {
		d.Content = &discoveryv1.Datagram_Answer{Answer: b}
	}
	if h, ok := c.(*discoveryv1.Hello); ok && h.Attempt > 0 {
		d.Padding = padding(most - len(magic) - proto.Size(d))
	}
	if b, err = (proto.MarshalOptions{}).MarshalAppend([]byte(magic), d); err != nil {
		return nil, fmt.Errorf("encode datagram: %w", err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("%s of %d bytes is longer than %d: advertise fewer addresses or shorter names", kind(c), len(b), most)
	}
	return b, nil
}

// padding fills what is free of a datagram, less its own header: one byte for the
// field, and one or two for its length.
func padding(free int) []byte {
	if n := free - 2; n < 128 {
		return make([]byte, max(n, 0))
	}
	return make([]byte, free-3)
}

// shorten leaves something out, and reports whether there was anything.
func shorten(c content) bool {
	a, _ := c.(*discoveryv1.Answer)
	r := c.GetRing()
	switch n := len(r.GetLeaderAddresses()); {
	case len(a.GetHeard()) > 0:
		a.Heard = a.Heard[:len(a.Heard)*3/4]
	case n > 0:
		r.LeaderAddresses = r.LeaderAddresses[:n-1]
	default:
		return false
	}
	return true
}

// decode returns the one of the two that an opened datagram holds. Its result
// keeps all bounds of this file, and has a stamp if the datagram was sealed. The error is
// errSealed for a seal that is not to be there, and else ErrMalformed.
func decode(b []byte, sealed bool) (h *discoveryv1.Hello, a *discoveryv1.Answer, err error) {
	b = b[len(magic):]
	opts := proto.UnmarshalOptions{DiscardUnknown: true}
	var d discoveryv1.Datagram
	if err := opts.Unmarshal(b, &d); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(d.Authenticator) > 0 {
		return nil, nil, errSealed
	}
	var c content
	switch d.Content.(type) {
	case *discoveryv1.Datagram_Hello:
		h = &discoveryv1.Hello{}
		c, b = h, d.GetHello()
	case *discoveryv1.Datagram_Answer:
		a = &discoveryv1.Answer{}
		c, b = a, d.GetAnswer()
	default:
		return nil, nil, fmt.Errorf("%w: neither hello nor answer", ErrMalformed)
	}
	if err := opts.Unmarshal(b, c); err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrMalformed, kind(c), err)
	}
	if h.GetNonce() == 0 && a.GetEcho() == 0 {
		return nil, nil, fmt.Errorf("%w: %s without a nonce", ErrMalformed, kind(c))
	}
	if err := cmp.Or(
		foreign.CheckName("cluster", c.GetCluster()),
		checkSender(c.GetNode()),
		checkRing(c.GetRing()),
		checkFounding(c.GetFounding()),
		checkStamp(c.GetStamp(), sealed),
		checkNames("heard name", "heard names", a.GetHeard(), limits.Heard),
	); err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrMalformed, kind(c), err)
	}
	return h, a, nil
}

// checkSender is checkNode for a node that was heard, and so has an address.
func checkSender(n *discoveryv1.Node) error {
	if n == nil {
		return errors.New("no sender")
	}
	if len(n.Addresses) == 0 {
		return fmt.Errorf("node %s has no address", foreign.Quote(n.Name))
	}
	return checkNode(n)
}

func checkNode(n *discoveryv1.Node) error {
	if err := foreign.CheckName("name", n.Name); err != nil {
		return err
	}
	if n.Incarnation == 0 {
		return fmt.Errorf("node %q has no incarnation", n.Name)
	}
	if err := cmp.Or(foreign.CheckAddresses(n.Addresses), checkNames("class", "classes", n.Classes, limits.Classes)); err != nil {
		return fmt.Errorf("node %q: %w", n.Name, err)
	}
	return nil
}

func checkRing(r *discoveryv1.Ring) error {
	if r == nil {
		return nil
	}
	return cmp.Or(
		foreign.CheckName("ring id", r.RingId),
		checkOptional("leader", r.Leader),
		foreign.CheckAddresses(r.LeaderAddresses),
		checkOptional("whose disk a ring was founded from", r.RefoundedFrom),
	)
}

func checkFounding(f *discoveryv1.Founding) error {
	if f.GetExpect() > limits.Founders {
		return fmt.Errorf("expect %d is more than %d", f.GetExpect(), limits.Founders)
	}
	return checkOptional("accepted founder", f.GetAccepted())
}

func checkStamp(s *discoveryv1.Stamp, sealed bool) error {
	switch n := len(s.GetSource()); {
	case sealed && s.GetNumber() == 0:
		return errors.New("sealed, and not numbered")
	case n != 0 && n != 4+2 && n != 16+2:
		return fmt.Errorf("a source of %d bytes is no address and port", n)
	}
	return nil
}

func checkOptional(what, name string) error {
	if name == "" {
		return nil
	}
	return foreign.CheckName(what, name)
}

func checkNames(what, plural string, names []string, most int) error {
	if len(names) > most {
		return fmt.Errorf("%d %s are more than %d", len(names), plural, most)
	}
	for _, name := range names {
		if err := foreign.CheckName(what, name); err != nil {
			return err
		}
	}
	return nil
}
