package transport

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// Why a stream is ended from here.
var (
	endIdentity = status.Error(codes.Unavailable, "this node has another id now: open the stream again")
	endClosing  = status.Error(codes.Unavailable, "this coordinator is stopping")
	endOlder    = status.Error(codes.Aborted, "replaced by a stream of a newer process of the same member")
	endIdle     = status.Error(codes.Aborted, "too many streams of the same member: this one was the idlest")
	endHeld     = status.Error(codes.FailedPrecondition, "another process is this member")
	endOther    = status.Error(codes.PermissionDenied, "the certificate is not for this member")
	endNotice   = status.Error(codes.FailedPrecondition, "no longer a member: join again")
)

// inbound is a peer's stream to us.
type inbound struct {
	hello *peerv1.PeerHello
	// proven is who the certificate is for; empty in the clear.
	proven string
	self   Identity
	// over has room for one; the first thing said counts.
	over chan lastWord
	// heard is when the last message came, Unix nanoseconds.
	heard atomic.Int64
	// copies is shared by all streams of the process.
	copies *copies
}

// lastWord is why a stream ends, and what the peer is told before, if not nil.
type lastWord struct {
	why error
	env *peerv1.StreamResponse
}

func (in *inbound) end(why error, env *peerv1.StreamResponse) {
	select {
	case in.over <- lastWord{why, env}:
	default:
	}
}

// ServeStream is the body of Peer.Stream.
func (t *Transport) ServeStream(stream peerv1.PeerService_StreamServer) error {
	hellos := make(chan *peerv1.PeerHello, 1)
	admitted := make(chan *inbound, 1)
	ended := make(chan error, 1)

	defer t.streams.Add(-1)
	if t.streams.Add(1) > limits.PeerStreams {
		return status.Errorf(codes.ResourceExhausted, "%d peer streams are open already", limits.PeerStreams)
	}
	t.mu.Lock()
	if t.closing.Err() != nil {
		t.mu.Unlock()
		return endClosing
	}
	// Recv cannot be interrupted but by this handler's return.
	t.wg.Go(func() { ended <- t.read(stream, hellos, admitted) })
	t.mu.Unlock()

	var hello *peerv1.PeerHello
	select {
	case hello = <-hellos:
	case err := <-ended:
		return err
	case <-time.After(durations.HelloWait):
		return status.Errorf(codes.DeadlineExceeded, "no hello within %s", durations.HelloWait)
	case <-t.closing.Done():
		return endClosing
	}

	self, err := t.meet(stream, hello)
	if err != nil {
		return err
	}
	if t.opts.Gone(hello.GetId()) {
		_ = stream.Send(peerwire.EncodeEvicted(election.EvictedNotice{RingID: self.RingID, ID: hello.GetId(), Epoch: self.Epoch})) // the status says it too
		return endNotice
	}
	in, err := t.register(stream.Context(), hello, self)
	if err != nil {
		return err
	}
	local := false
	defer func() { t.unregister(in, local) }()
	t.opts.Admitted(stream.Context())
	if err := stream.Send(&peerv1.StreamResponse{Body: &peerv1.StreamResponse_Hello{Hello: helloTo(self, hello.GetId())}}); err != nil {
		return err
	}
	admitted <- in

	select {
	case err := <-ended:
		return err
	case w := <-in.over:
		// The idlest may be the last one to end, when the others have ended by themselves.
		local = !errors.Is(w.why, endIdle)
		if w.env != nil {
			_ = stream.Send(w.env) // the status says it too
		}
		return w.why
	}
}

// read takes the hello, and after its admission everything else.
func (t *Transport) read(stream peerv1.PeerService_StreamServer, hellos chan<- *peerv1.PeerHello, admitted <-chan *inbound) error {
	env, err := stream.Recv()
	if err != nil {
		return ignoreEOF(err)
	}
	if env.GetHello() == nil {
		return status.Errorf(codes.InvalidArgument, "a peer stream starts with a hello, not with %T", env.GetBody())
	}
	hellos <- env.GetHello()
	var in *inbound
	select {
	case in = <-admitted:
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
	from, to := in.hello.GetId(), in.self.ID
	parts := assembly{t: t}
	defer parts.drop()
	for {
		// Decode keeps nothing of it.
		if err := stream.RecvMsg(env); err != nil {
			return ignoreEOF(err)
		}
		whole, err := parts.add(env)
		if whole.GetPathCheck() != nil {
			continue // that it came is all
		}
		var m election.Message
		if whole != nil {
			m, err = peerwire.Decode(whole, from, to)
		}
		switch {
		case errors.Is(err, peerwire.ErrMalformed):
			t.log.Warn("stream from peer closed", "peer", in.hello.GetName(), "from", from, "error", err)
			return status.Error(codes.InvalidArgument, err.Error())
		case err != nil:
			return err
		case whole == nil:
			continue
		}
		in.heard.Store(time.Now().UnixNano())
		m.Incarnation = in.hello.GetIncarnation() // Decode cannot know it
		if err := t.opts.Passed(m); err != nil {
			t.log.Warn("message dropped", "peer", in.hello.GetName(), "from", from, "error", err)
			continue
		}
		in.copies.once(whole.GetNumber(), func() { t.opts.Deliver(m) })
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// register makes the stream known, so that it can be ended from here.
func (t *Transport) register(ctx context.Context, hello *peerv1.PeerHello, self Identity) (*inbound, error) {
	proof, _ := trust.Of(ctx)
	in := &inbound{hello: hello, proven: proof.Name, self: self, over: make(chan lastWord, 1)}
	in.heard.Store(time.Now().UnixNano())
	id := hello.GetId()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closing.Err() != nil:
		return nil, endClosing
	case !t.opts.Self().sameHello(self):
		return nil, endIdentity
	}
	p := t.peers[id]
	for _, old := range t.inbound[id] {
		// One that is listed counts: who says that it is a newer one may be a copy.
		if i := old.hello.GetIncarnation(); i < hello.GetIncarnation() && (p == nil || p.info.Incarnation != i) {
			old.end(endOlder, nil) // the peer's earlier process is gone
		}
	}
	in.copies = t.copiesLocked(hello)
	if len(t.inbound[id]) >= limits.PeerStreamsEach {
		t.idlestLocked(hello).end(endIdle, nil)
	}
	t.inbound[id] = append(t.inbound[id], in)
	if p != nil {
		p.hintLocked(hello.GetAddresses())
		p.layLocked()
		if p.provision != nil {
			p.provision.orphaned = time.Time{}
		}
		p.wakeLocked() // it lives
	} else {
		t.addProvisionalLocked(id, false)
	}
	return in, nil
}

// idlestLocked returns the stream that is given up for a new one with this
// hello: one of the same process if there is any, for an earlier one whose
// hellos come late must not cost the present one its streams.
func (t *Transport) idlestLocked(hello *peerv1.PeerHello) *inbound {
	other := func(in *inbound) bool { return in.hello.GetIncarnation() != hello.GetIncarnation() }
	return slices.MinFunc(t.inbound[hello.GetId()], func(a, b *inbound) int {
		return cmp.Or(falseFirst(other(a), other(b)), cmp.Compare(a.heard.Load(), b.heard.Load()))
	})
}

// unregister forgets the stream. The last one of a process that ends by itself
// is news.
func (t *Transport) unregister(in *inbound, local bool) {
	id := in.hello.GetId()
	t.mu.Lock()
	left := slices.DeleteFunc(t.inbound[id], func(o *inbound) bool { return o == in })
	t.inbound[id] = left
	if len(left) == 0 {
		delete(t.inbound, id)
		if p := t.peers[id]; p != nil && p.provision != nil {
			p.provision.orphaned = time.Now()
		}
	}
	lives := slices.ContainsFunc(left, func(o *inbound) bool { return o.hello.GetIncarnation() == in.hello.GetIncarnation() })
	down := !lives && !local && t.closing.Err() == nil
	t.mu.Unlock()
	if down {
		t.log.Debug("stream from peer ended", "peer", in.hello.GetName(), "from", id)
		t.opts.PeerDown(id)
	}
}
