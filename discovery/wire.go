package discovery

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// magic begins every datagram. One that goes over a bound of package limits is
// dropped whole. Cluster, names, classes and ring ids keep to foreign.CheckName,
// addresses to foreign.CheckAddresses.
const magic = "ARC1"

// encodeHello returns the datagram. It leaves out addresses of the leader, the
// last ones first, until it fits; the error says by how much the rest is too
// long.
func encodeHello(h *discoveryv1.Hello) ([]byte, error) {
	for {
		content, err := proto.Marshal(h)
		if err != nil {
			return nil, fmt.Errorf("encode hello: %w", err)
		}
		b, err := encode(&discoveryv1.Datagram{Content: &discoveryv1.Datagram_Hello{Hello: content}})
		if err == nil || !shorten(h.Ring) {
			return b, err
		}
	}
}

// encodeAnswer leaves out heard names first, then as encodeHello.
func encodeAnswer(a *discoveryv1.Answer) ([]byte, error) {
	for {
		content, err := proto.Marshal(a)
		if err != nil {
			return nil, fmt.Errorf("encode answer: %w", err)
		}
		b, err := encode(&discoveryv1.Datagram{Content: &discoveryv1.Datagram_Answer{Answer: content}})
		switch {
		case err == nil:
			return b, nil
		case len(a.Heard) > 0:
			a.Heard = a.Heard[:len(a.Heard)*3/4]
		case !shorten(a.Ring):
			return nil, err
		}
	}
}

func shorten(r *discoveryv1.Ring) bool {
	if r == nil || len(r.LeaderAddresses) == 0 {
		return false
	}
	r.LeaderAddresses = r.LeaderAddresses[:len(r.LeaderAddresses)-1]
	return true
}

func encode(d *discoveryv1.Datagram) ([]byte, error) {
	b, err := proto.MarshalOptions{}.MarshalAppend([]byte(magic), d)
	if err != nil {
		return nil, fmt.Errorf("encode datagram: %w", err)
	}
	if len(b) > limits.Datagram {
		return nil, fmt.Errorf("datagram of %d bytes is longer than %d: advertise fewer addresses or shorter names", len(b), limits.Datagram)
	}
	return b, nil
}

// decode returns the one of the two that the datagram holds. What it returns
// keeps all bounds of this file; everything else is ErrMalformed.
func decode(b []byte) (*discoveryv1.Hello, *discoveryv1.Answer, error) {
	if len(b) > limits.Datagram {
		return nil, nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, limits.Datagram)
	}
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, nil, fmt.Errorf("%w: it does not start with %s", ErrMalformed, magic)
	}
	opts := proto.UnmarshalOptions{DiscardUnknown: true}
	var d discoveryv1.Datagram
	if err := opts.Unmarshal(b[len(magic):], &d); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch c := d.Content.(type) {
	case *discoveryv1.Datagram_Hello:
		var h discoveryv1.Hello
		if err := opts.Unmarshal(c.Hello, &h); err != nil {
			return nil, nil, fmt.Errorf("%w: hello: %w", ErrMalformed, err)
		}
		if h.Nonce == 0 {
			return nil, nil, fmt.Errorf("%w: hello without a nonce", ErrMalformed)
		}
		if err := checkCommon(h.Cluster, h.Node, h.Ring, h.Founding); err != nil {
			return nil, nil, fmt.Errorf("%w: hello: %w", ErrMalformed, err)
		}
		return &h, nil, nil
	case *discoveryv1.Datagram_Answer:
		var a discoveryv1.Answer
		if err := opts.Unmarshal(c.Answer, &a); err != nil {
			return nil, nil, fmt.Errorf("%w: answer: %w", ErrMalformed, err)
		}
		if a.Echo == 0 {
			return nil, nil, fmt.Errorf("%w: answer without a nonce", ErrMalformed)
		}
		if err := checkCommon(a.Cluster, a.Node, a.Ring, a.Founding); err != nil {
			return nil, nil, fmt.Errorf("%w: answer: %w", ErrMalformed, err)
		}
		if len(a.Heard) > limits.Heard {
			return nil, nil, fmt.Errorf("%w: answer: %d heard names are more than %d", ErrMalformed, len(a.Heard), limits.Heard)
		}
		for _, name := range a.Heard {
			if err := foreign.CheckName("heard name", name); err != nil {
				return nil, nil, fmt.Errorf("%w: answer: %w", ErrMalformed, err)
			}
		}
		return nil, &a, nil
	default:
		return nil, nil, fmt.Errorf("%w: neither hello nor answer", ErrMalformed)
	}
}

func checkCommon(cluster string, n *discoveryv1.Node, r *discoveryv1.Ring, f *discoveryv1.Founding) error {
	if err := foreign.CheckName("cluster", cluster); err != nil {
		return err
	}
	if n == nil {
		return fmt.Errorf("no sender")
	}
	if err := checkSender(n.Name, n.Incarnation, n.Addresses, n.Classes); err != nil {
		return err
	}
	if r != nil {
		if err := checkRing(r.RingId, r.Leader, r.LeaderAddresses); err != nil {
			return err
		}
		if r.RefoundedFrom != "" {
			if err := foreign.CheckName("whose disk a ring was founded from", r.RefoundedFrom); err != nil {
				return err
			}
		}
	}
	if f.GetExpect() > limits.Founders {
		return fmt.Errorf("expect %d is more than %d", f.GetExpect(), limits.Founders)
	}
	if f.GetAccepted() != "" {
		return foreign.CheckName("accepted founder", f.Accepted)
	}
	return nil
}

// checkSender is checkNode for somebody who was heard, and so has an address.
func checkSender(name string, incarnation uint64, addresses, classes []string) error {
	if len(addresses) == 0 {
		return fmt.Errorf("node %s has no address", foreign.Quote(name))
	}
	return checkNode(name, incarnation, addresses, classes)
}

func checkNode(name string, incarnation uint64, addresses, classes []string) error {
	if err := foreign.CheckName("name", name); err != nil {
		return err
	}
	if incarnation == 0 {
		return fmt.Errorf("node %q has no incarnation", name)
	}
	if err := foreign.CheckAddresses(addresses); err != nil {
		return fmt.Errorf("node %q: %w", name, err)
	}
	if len(classes) > limits.Classes {
		return fmt.Errorf("node %q: %d classes are more than %d", name, len(classes), limits.Classes)
	}
	for _, c := range classes {
		if err := foreign.CheckName("class", c); err != nil {
			return fmt.Errorf("node %q: %w", name, err)
		}
	}
	return nil
}

func checkRing(id, leader string, addresses []string) error {
	if err := foreign.CheckName("ring id", id); err != nil {
		return err
	}
	if leader != "" {
		if err := foreign.CheckName("leader", leader); err != nil {
			return err
		}
	}
	return foreign.CheckAddresses(addresses)
}
