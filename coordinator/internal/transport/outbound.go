package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// errHeld: the peer says that another process is the member that we are.
// errEvicted: it says that we are no member any more.
var (
	errHeld    = errors.New("the peer says that another process is this member")
	errEvicted = errors.New("the peer says that this node is no longer a member")
)

// outbound is an open stream to a peer, hellos exchanged.
type outbound struct {
	self   Identity
	remote *peerv1.PeerHello
	conn   net.Conn
	cc     *grpc.ClientConn
	stream peerv1.PeerService_StreamClient
	cancel context.CancelFunc
	born   time.Time

	// broken is closed when nothing more will be received; err is set before.
	broken chan struct{}
	err    error
	// written is closed when the writer has ended.
	written chan struct{}

	mu sync.Mutex
	// watching: a check is due. acked was acknowledged at since.
	watching bool
	acked    uint64
	since    time.Time
	timer    *time.Timer
	// rtt is that of the last look. Only the first watch begins with a look: each costs
	// more than all else that a small message does here. looked: acked is of since, and
	// not of a look before it.
	rtt    time.Duration
	looked bool
	// recent are messages that may be unacknowledged.
	recent []sent
	// loss belongs to the goroutine that checks the paths.
	loss paths.Loss
}

type sent struct {
	item
	at time.Time
	// rescued: it went over another path too.
	rescued bool
}

// attempt tries one address: connect, hello, hello. Whatever ctx does
// afterwards, a stream that is returned stays until close. linked is set as soon
// as there is a connection.
func (t *Transport) attempt(ctx context.Context, id uint64, addr string, self Identity, linked *atomic.Bool) (_ *outbound, err error) {
	ctx, cancelTry := context.WithTimeout(ctx, durations.PeerAttempt)
	defer cancelTry()
	connectCtx, cancelConnect := context.WithTimeout(ctx, durations.PeerConnect)
	conn, err := t.opts.Dialer.Net(connectCtx, addr)
	cancelConnect()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	tuneConn(conn)
	linked.Store(true)
	dialer := *t.opts.Dialer
	var handshake atomic.Pointer[error]
	if dialer.Credentials != nil {
		dialer.Credentials = connect.Noted{TransportCredentials: dialer.Credentials, Failed: func(err error) { handshake.Store(&err) }}
	}
	cause := func(err error) error { // in place of what gRPC makes of it
		if failed := handshake.Load(); failed != nil {
			return *failed
		}
		return err
	}
	cc, err := dialer.Over(conn, addr)
	if err != nil {
		return nil, err
	}
	streamCtx, cancel := context.WithCancel(t.ctx)
	s := &outbound{
		self: self, conn: conn, cc: cc, cancel: cancel, born: time.Now(), broken: make(chan struct{}), written: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()

	keep := context.AfterFunc(ctx, cancel)
	s.stream, err = peerv1.NewPeerServiceClient(s.cc).Stream(streamCtx)
	if err != nil {
		return nil, fmt.Errorf("open stream to %s: %w", addr, cause(err))
	}
	if err := s.stream.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: helloTo(self, id)}}); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("hello to %s: %w", addr, err)
	}
	env, err := s.stream.Recv() // tells the status if the Send failed
	if err != nil {
		return nil, fmt.Errorf("hello to %s: %w", addr, cause(err))
	}
	if e := env.GetEvicted(); e != nil {
		t.evicted(id, e, self)
		return nil, fmt.Errorf("hello to %s: %w", addr, errEvicted)
	}
	s.remote = env.GetHello()
	err = checkServerHello(s.remote, self, id)
	if err == nil {
		err = t.opts.SpeaksFor(s.stream.Context(), id, s.remote.GetName())
	}
	if err != nil {
		return nil, fmt.Errorf("hello from %s: %w", addr, err)
	}
	if !keep() {
		return nil, fmt.Errorf("hello to %s: %w", addr, context.Cause(ctx))
	}
	return s, nil
}

// evicted passes a notice on if it is about us.
func (t *Transport) evicted(from uint64, e *peerv1.Evicted, self Identity) {
	n := peerwire.DecodeEvicted(e)
	if n.RingID != self.RingID || n.ID != self.ID {
		t.log.Warn("notice of eviction is not about this node", "ring", foreign.Brief(n.RingID), "node", n.ID)
		return
	}
	t.opts.Evicted(election.Message{From: from, To: n.ID, Evicted: &n})
}

// heldHere passes on the word that another process is the member that we are.
func (t *Transport) heldHere(h *peerv1.Held, s *outbound) {
	n, err := peerwire.DecodeHeld(h)
	if err != nil || n.RingID != s.self.RingID || n.ID != s.self.ID || n.Incarnation != s.self.Incarnation {
		t.log.Warn("word about another process is not about this one", "ring", foreign.Quote(h.GetRingId()), "node", h.GetId())
		return
	}
	t.opts.Deliver(election.Message{From: s.remote.GetId(), To: s.self.ID, Incarnation: s.remote.GetIncarnation(), Held: &n})
}

// close ends the stream and its connection. It does not wait.
func (s *outbound) close() {
	s.cancel()
	_ = s.cc.Close() // only says that it was closed before
	_ = s.conn.Close()
}

// from is where the connection comes from; the zero Addr if it is none of IP.
func (s *outbound) from() netip.Addr {
	from, _ := netip.ParseAddrPort(s.conn.LocalAddr().String())
	return from.Addr()
}

// receive watches for the break. The server has nothing to say but that we
// were evicted.
func (s *outbound) receive(t *Transport) {
	defer close(s.broken)
	env, err := s.stream.Recv()
	switch {
	case err != nil:
		s.err = err
	case env.GetHeld() != nil:
		s.err = errHeld
		t.heldHere(env.GetHeld(), s)
	case env.GetEvicted() != nil:
		s.err = errEvicted
		t.evicted(s.remote.GetId(), env.GetEvicted(), s.self)
	default:
		s.err = status.Errorf(codes.InvalidArgument, "unexpected %T from the server of a peer stream", env.GetBody())
	}
}

// write empties the queue into the stream until that breaks, or until drained
// and empty.
func (s *outbound) write(p *path) {
	defer close(s.written)
	drained := false
	for {
		it, ok := p.queue.pop()
		if !ok && drained {
			_ = s.stream.CloseSend() // the receiver sees what comes of it
			return
		}
		if !ok {
			select {
			case <-p.queue.ready:
			case <-p.drain.Done():
				drained = true
			case <-s.stream.Context().Done():
				return
			}
			continue
		}
		if it.from != s.self.ID {
			continue // queued under an id that is no longer ours
		}
		err := sendItem(s.stream, it)
		if err != nil && !errors.Is(err, io.EOF) {
			s.cancel() // nothing was wrong with the stream: the receiver would not end
			return     // it is the message that cannot be sent
		}
		s.remember(it)
		if err != nil {
			return
		}
		s.watch(p)
	}
}

// remember keeps what was just sent until it is most likely acknowledged.
func (s *outbound) remember(it item) {
	if it.size > recentSize || it.env.GetPathCheck() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recent) == recentMessages {
		s.recent = slices.Delete(s.recent, 0, recentMessages/2)
	}
	s.recent = append(s.recent, sent{item: it, at: time.Now()})
}

// watch has a look later whether what was just sent is acknowledged.
func (s *outbound) watch(p *path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching {
		return
	}
	if s.looked = s.timer == nil; s.looked {
		now, ok := look(s.conn)
		if !ok {
			return // it is closed, or about to break
		}
		s.acked, s.rtt = now.acked, now.rtt
	}
	s.watching, s.since = true, time.Now()
	wait := max(durations.PeerStall, 4*s.rtt)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, func() { s.check(p) })
	} else {
		s.timer.Reset(wait)
	}
}

// check runs on the timer. It asks without s.mu: who chooses a path for a message holds
// Transport.mu, and looks at all streams.
func (s *outbound) check(p *path) {
	if s.stalls() {
		p.t.mu.Lock()
		defer p.t.mu.Unlock()
		p.askLocked(func(a *asked) { a.stalled = true })
	}
}

// stalls reports whether nothing was acknowledged since the last look, and sets the
// timer for the next one.
func (s *outbound) stalls() (stalled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, ok := look(s.conn)
	s.watching = ok && now.waiting
	if !ok {
		return false
	}
	stalled = now.waiting && now.acked == s.acked
	switch {
	case !now.waiting:
		clear(s.recent)
		s.recent = s.recent[:0]
	case !stalled && s.looked:
		// What was sent before the last look has most likely arrived.
		s.recent = slices.DeleteFunc(s.recent, func(m sent) bool { return m.at.Before(s.since) })
	}
	if !stalled {
		s.acked, s.since, s.looked = now.acked, time.Now(), true
	}
	s.rtt = now.rtt
	if !now.waiting {
		return false
	}
	s.timer.Reset(max(durations.PeerStall, 4*now.rtt))
	return stalled
}

// unacked returns what may be lost with a connection that is stuck or broke.
func (s *outbound) unacked() []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]item, 0, len(s.recent))
	for _, m := range s.recent {
		if time.Since(m.at) < durations.PeerRecent {
			items = append(items, m.item)
		}
	}
	return items
}

// rescue returns what may be lost with a stream that is stuck and did not go over all
// paths. Each message is returned once.
func (s *outbound) rescue() (items []item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.recent {
		if m := &s.recent[i]; !m.rescued && m.size > limits.SmallMessage {
			m.rescued = true
			items = append(items, m.item)
		}
	}
	return items
}

// stuck says whether something sent at least d ago is not acknowledged.
func (s *outbound) stuck(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watching || time.Since(s.since) < d {
		return false
	}
	now, ok := look(s.conn)
	return ok && now.waiting && now.acked == s.acked && time.Since(s.since) >= 4*now.rtt
}

// delay is how long a message may take, a round trip; much longer while what was sent
// is not acknowledged.
func (s *outbound) delay() time.Duration {
	now, _ := look(s.conn)
	if s.stuck(0) {
		now.rtt += durations.PeerAck
	}
	return now.rtt
}
