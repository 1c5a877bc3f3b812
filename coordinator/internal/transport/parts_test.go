package transport

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// collected keeps what a stream is given.
type collected struct {
	peerv1.PeerService_StreamClient
	all []*peerv1.StreamRequest
}

func (c *collected) Send(env *peerv1.StreamRequest) error {
	c.all = append(c.all, proto.Clone(env).(*peerv1.StreamRequest))
	return nil
}

func TestLongEnvelopesTravelInParts(t *testing.T) {
	whole, err := peerwire.Encode(bulk(1, 2, 1, limits.Part-200))
	if err != nil {
		t.Fatal(err)
	}
	fits := limits.Part - 64 - len(whole.GetRaft()) + limits.Part - 200 // the longest that travels whole
	for _, size := range []int{10, fits, fits + 1, limits.Part, limits.Wire, 3*limits.Part + 1, limits.Envelope - 200} {
		m := bulk(1, 2, 1, size)
		env, err := peerwire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		var c collected
		if err := sendItem(&c, item{env: env, size: 64 + len(env.GetRaft())}); err != nil {
			t.Fatal(err)
		}
		if whole := c.all[0].GetPart() == nil; whole != (size <= fits) {
			t.Errorf("%d bytes travel whole: %v; up to %d do", size, whole, fits)
		}
		a := assembly{t: bare(Options{})}
		var whole *peerv1.StreamRequest
		for i, part := range c.all {
			if n := proto.Size(part); n > limits.Wire {
				t.Errorf("%d bytes: message %d has %d, more than %d", size, i, n, limits.Wire)
			}
			if whole, err = a.add(part); err != nil || (whole != nil) != (i == len(c.all)-1) {
				t.Fatalf("%d bytes: message %d of %d: %v, %v", size, i, len(c.all), whole != nil, err)
			}
		}
		if !proto.Equal(env, whole) {
			t.Errorf("%d bytes changed on the way", size)
		}
		if n := a.t.assembling.Load(); n != 0 {
			t.Errorf("%d bytes are counted after the last part", n)
		}
	}
}

func part(n int, last bool) *peerv1.StreamRequest {
	return &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Part{Part: &peerv1.Part{Data: make([]byte, n), Last: last}}}
}

func TestPartsThatAreRefused(t *testing.T) {
	renewal := &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{Renew: &peerv1.Renew{Term: 1, LeaseUs: 1}}}
	nested, err := proto.Marshal(part(1, true))
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][]*peerv1.StreamRequest{
		"empty":           {part(0, false)},
		"another amid":    {part(1, false), renewal},
		"noise":           {part(100, true)},
		"a part in parts": {{Body: &peerv1.StreamRequest_Part{Part: &peerv1.Part{Data: nested, Last: true}}}},
	} {
		a := assembly{t: bare(Options{})}
		var err error
		for _, p := range parts {
			_, err = a.add(p)
		}
		if !errors.Is(err, peerwire.ErrMalformed) {
			t.Errorf("%s: %v, want peerwire.ErrMalformed", name, err)
		}
	}
	a := assembly{t: bare(Options{})}
	for left := limits.Envelope; left > 0; left -= min(left, limits.Part) {
		if _, err := a.add(part(min(left, limits.Part), false)); err != nil {
			t.Fatalf("with %d bytes of the longest envelope missing: %v", left, err)
		}
	}
	if _, err := a.add(part(1, false)); !errors.Is(err, peerwire.ErrMalformed) {
		t.Errorf("one byte more than the longest envelope: %v, want peerwire.ErrMalformed", err)
	}
}

// The unfinished envelopes of all streams have one bound, and a stream that ends
// gives its share back.
func TestUnfinishedEnvelopesHaveOneBound(t *testing.T) {
	tr := bare(Options{})
	var all []*assembly
	var err error
	for err == nil {
		a := &assembly{t: tr}
		all = append(all, a)
		for range 100 {
			if _, err = a.add(part(limits.Part, false)); err != nil {
				break
			}
		}
		if len(all) > limits.Parts/(100*limits.Part)+1 {
			t.Fatalf("%d streams have unfinished envelopes of %d bytes each", len(all), 100*limits.Part)
		}
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
	for _, a := range all {
		a.drop()
	}
	if n := tr.assembling.Load(); n != 0 {
		t.Errorf("%d bytes are counted after the end", n)
	}
}
