package transport

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// sendItem sends one message, in parts if it is long.
func sendItem(stream peerv1.PeerService_StreamClient, it item) error {
	if it.size <= limits.Part {
		return stream.Send(it.env)
	}
	wire, err := proto.Marshal(it.env)
	if err != nil {
		return err
	}
	for len(wire) > 0 {
		n := min(len(wire), limits.Part)
		part := &peerv1.Part{Data: wire[:n], Last: n == len(wire)}
		if err := stream.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Part{Part: part}}); err != nil {
			return err
		}
		wire = wire[n:]
	}
	return nil
}

// assembly puts the parts of one stream's envelopes together.
type assembly struct {
	t   *Transport
	buf []byte
}

// add takes what came, and returns the envelope that is whole with it; nil if
// there is none yet.
func (a *assembly) add(env *peerv1.StreamRequest) (*peerv1.StreamRequest, error) {
	p, ok := env.GetBody().(*peerv1.StreamRequest_Part)
	if !ok {
		if len(a.buf) > 0 {
			return nil, fmt.Errorf("%w: %T amid the parts of an envelope", peerwire.ErrMalformed, env.GetBody())
		}
		return env, nil
	}
	data := p.Part.GetData()
	if len(data) == 0 || len(a.buf)+len(data) > limits.Envelope {
		return nil, fmt.Errorf("%w: a part of %d bytes after %d", peerwire.ErrMalformed, len(data), len(a.buf))
	}
	if a.t.assembling.Add(int64(len(data))) > limits.Parts {
		a.t.assembling.Add(-int64(len(data)))
		return nil, status.Errorf(codes.ResourceExhausted, "the unfinished messages of all peers take %d bytes already", limits.Parts)
	}
	a.buf = append(a.buf, data...)
	if !p.Part.GetLast() {
		return nil, nil
	}
	defer a.drop()
	whole := &peerv1.StreamRequest{}
	if err := proto.Unmarshal(a.buf, whole); err != nil {
		return nil, fmt.Errorf("%w: an envelope of %d bytes in parts does not decode: %w", peerwire.ErrMalformed, len(a.buf), err)
	}
	if whole.GetPart() != nil {
		return nil, fmt.Errorf("%w: a part within parts", peerwire.ErrMalformed)
	}
	return whole, nil
}

// drop forgets what came.
func (a *assembly) drop() {
	a.t.assembling.Add(-int64(len(a.buf)))
	a.buf = nil
}
