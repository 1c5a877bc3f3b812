package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/internal/sockio"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

var (
	errDialTook = errors.New("dialling took too long")
	errDropped  = errors.New("dropped by the monitor")
)

// neighbour is a member that is looked at, with a path for each address. It
// and all below it belong to the monitor's loop, but for the goroutine of an
// attempt, which sends events.
type neighbour struct {
	target detector.Target
	wanted ring.Wanted
	paths  []*path
	wasUp  bool
}

// rules are how a path to a neighbour with this timing is dialled. Pauses that are
// no quick tries end with the next probe after them.
func rules(timing detector.Config) policy.Rules {
	return policy.Rules{
		Backoff: durations.Backoff{First: max(timing.Interval, durations.ProbeRedialLeast), Longest: durations.ProbeRedialLongest},
		Quick:   4, QuickPause: durations.ProbeQuick,
		SilentEvery: min(max(timing.Interval*time.Duration(timing.Misses), durations.ProbeRaceLeast), durations.ProbeRaceLongest),
	}
}

type path struct {
	addr string
	// conn decides when the address is dialled.
	conn *policy.Connection
	// attempts are at most two, oldest first: the second races the first one
	// when that is silent.
	attempts []*attempt
	// known is where the address leads, as far as the last answer or refusal
	// tells.
	known ring.Path
}

// attempt is one connection: dialled, then a stream, until it breaks.
type attempt struct {
	neighbour *neighbour
	path      *path
	try       uint64 // of the path's conn
	cancel    context.CancelCauseFunc
	stream    grpc.BidiStreamingClient[peerv1.ProbeRequest, peerv1.ProbeResponse] // nil until up
	conn      net.Conn                                                            // of the stream
	written   uint64                                                              // bytes on conn before the newest probe
	ping      *peerv1.ProbeRequest                                                // what is sent, again and again
	sent      uint64                                                              // probes
	answered  uint64
	by        ring.Answer // who answers
	upAt      mono.Instant
	over      bool // the loop wants to hear no more of it
}

func (a *attempt) unanswered() uint64 { return a.sent - min(a.answered, a.sent) }

// event is what happened to an attempt, or nil, and what the loop does about it.
type event struct {
	attempt *attempt
	do      func(now mono.Instant)
}

// act does what a path's policy wants done now.
func (m *monitor) act(now mono.Instant, n *neighbour, p *path) {
	s := policy.Sight{Stuck: true}
	if p.conn.Due(now) {
		s.Addresses = []string{p.addr}
	}
	for _, a := range p.conn.Tick(now, s) {
		if a.Address != "" {
			m.dial(n, p, a.Try)
		} else if i := slices.IndexFunc(p.attempts, func(o *attempt) bool { return o.try == a.Try }); i >= 0 {
			p.drop(p.attempts[i])
		}
	}
}

// dial starts an attempt.
func (m *monitor) dial(n *neighbour, p *path, try uint64) {
	timing := m.watch.Timing(n.target.ID)
	timeout := max(timing.Interval*time.Duration(timing.Misses), durations.ProbeConnectLeast)
	ctx, cancel := context.WithCancelCause(m.ctx)
	a := &attempt{neighbour: n, path: p, try: try, cancel: cancel, ping: &peerv1.ProbeRequest{}}
	p.attempts = append(p.attempts, a)
	m.attempts.Go(func() {
		err := m.probe(ctx, a, timeout)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		local := connect.Reason(err) == policy.NobodyListens && m.dialer.OnThisMachine(p.addr)
		m.post(a, func(now mono.Instant) { m.streamDown(now, a, err, local) })
	})
}

// post has the loop do something unless the attempt is over by then; false if the
// monitor ends.
func (m *monitor) post(a *attempt, do func(now mono.Instant)) bool {
	select {
	case m.events <- event{a, do}:
		return true
	case <-m.ctx.Done():
		return false
	}
}

func (m *monitor) handle(now mono.Instant, e event) {
	if e.attempt == nil || !e.attempt.over {
		e.do(now)
	}
}

// probe is the life of an attempt; it returns why it ended.
func (m *monitor) probe(ctx context.Context, a *attempt, timeout time.Duration) error {
	late := time.AfterFunc(timeout, func() { a.cancel(errDialTook) })
	defer late.Stop()
	conn, err := m.dialer.Net(ctx, a.path.addr)
	if err != nil {
		return err
	}
	cc, err := m.dialer.Over(conn, a.path.addr)
	if err != nil {
		return err
	}
	defer cc.Close()
	stream, err := peerv1.NewProbeServiceClient(cc).Probe(ctx)
	if err != nil {
		return err
	}
	if !late.Stop() {
		return errDialTook
	}
	if !m.post(a, func(now mono.Instant) { m.streamUp(now, a, stream, conn) }) {
		return errDropped
	}
	pong := &peerv1.ProbeResponse{}
	proof, proven := trust.Identity{}, false
	for first := true; ; first = false {
		if err := stream.RecvMsg(pong); err != nil {
			return err
		}
		if first {
			proof, proven = trust.Of(stream.Context())
		}
		if proven && pong.GetName() != "" && pong.GetName() != proof.Name {
			return fmt.Errorf("%s says that it is %s, its certificate is for %s", a.path.addr, foreign.Quote(pong.GetName()), proof)
		}
		// It may wait for the loop.
		at, seq, term := monotime.Now(), pong.GetSeq(), pong.GetTerm()
		by := ring.Answer{Cluster: pong.GetCluster(), RingID: pong.GetRingId(), Name: cmp.Or(pong.GetName(), proof.Name), ID: pong.GetId(), Incarnation: pong.GetIncarnation()}
		m.post(a, func(now mono.Instant) {
			if m.answered(now, a, by) {
				m.carryOut(now, m.watch.Pong(at, a.neighbour.target.ID, seq, term))
				m.logRun(a.neighbour)
			}
		})
	}
}

// drop ends an attempt.
func (p *path) drop(a *attempt) {
	a.over = true
	a.cancel(errDropped)
	p.attempts = slices.DeleteFunc(p.attempts, func(o *attempt) bool { return o == a })
}

func (p *path) dropAll() {
	for _, a := range slices.Clone(p.attempts) {
		p.drop(a)
	}
}

func (n *neighbour) drop() {
	for _, p := range n.paths {
		p.dropAll()
	}
}

// some reports whether one of the neighbour's attempts fits.
func (n *neighbour) some(fits func(*attempt) bool) bool {
	return slices.ContainsFunc(n.paths, func(p *path) bool { return slices.ContainsFunc(p.attempts, fits) })
}

// unsentOrUnread reports whether the newest probe has not left this process on a
// stream that is up, or something has come there that nobody has read. The threads
// that write and read may be starved while the loop is not.
func (n *neighbour) unsentOrUnread() bool {
	return n.some(func(a *attempt) bool {
		c, ok := a.conn.(*sockio.Conn)
		return ok && (c.Written() == a.written || c.Unread())
	})
}

// open dials all addresses of a target.
func (m *monitor) open(now mono.Instant, t detector.Target) {
	n := &neighbour{target: t, wanted: ring.Wanted{
		Cluster: m.link.GetCluster(), RingID: m.link.GetRingId(), Name: t.Name, ID: t.ID, Incarnation: t.Incarnation,
	}}
	m.neighbours[t.ID] = n
	m.dialAll(now, n)
}

// dialAll dials the addresses of the target that have no path yet, and tells.
func (m *monitor) dialAll(now mono.Instant, n *neighbour) {
	for _, a := range n.target.Addresses {
		if !slices.ContainsFunc(n.paths, func(p *path) bool { return p.addr == a }) {
			p := &path{addr: a, conn: policy.New(rules(m.watch.Timing(n.target.ID)), nil)}
			n.paths = append(n.paths, p)
			p.conn.Begin(now)
			m.act(now, n, p)
		}
	}
	m.linkState(n.target, localv1.LinkState_STATE_DIALLED, strings.Join(n.target.Addresses, ", "))
}

func (m *monitor) close(t detector.Target) {
	if n := m.neighbours[t.ID]; n != nil {
		n.drop()
		delete(m.neighbours, t.ID)
	}
}

// ping sends a probe over every path, and dials where that is due.
func (m *monitor) ping(now mono.Instant, probe detector.Action) {
	n := m.neighbours[probe.Target.ID]
	if n == nil {
		return
	}
	timing := m.watch.Timing(probe.Target.ID)
	for _, p := range n.paths {
		stale := true
		for _, a := range p.attempts {
			m.send(a, probe)
			stale = stale && a.stream != nil && a.unanswered() > uint64(max(timing.Misses, 2))
		}
		if stale {
			if len(p.attempts) > 0 {
				p.conn.Rules = rules(timing)
				p.conn.Silent(now, false)
			}
			m.act(now, n, p)
		}
	}
}

func (m *monitor) send(a *attempt, probe detector.Action) {
	if a.stream == nil || probe.Seq == 0 || a.unanswered() >= limits.UnansweredProbes {
		return
	}
	p := a.ping
	p.From = ""
	p.RingId, p.To = "", 0
	if a.sent == 0 {
		p.From = m.link.GetSelf().GetName()
		p.RingId, p.To = a.neighbour.wanted.RingID, a.neighbour.wanted.ID
	}
	a.sent++
	p.Seq, p.FromId = probe.Seq, m.link.GetSelf().GetId()
	p.Grant, p.Ack, p.GrantUs = probe.Grant, probe.Ack, uint64(probe.Length/time.Microsecond)
	if c, ok := a.conn.(*sockio.Conn); ok {
		a.written = c.Written()
	}
	// It is encoded before SendMsg returns, so it can be filled again. An error
	// means that the stream broke, which the receiving side tells with its cause.
	_ = a.stream.SendMsg(p)
}

// streamUp takes a new stream.
func (m *monitor) streamUp(now mono.Instant, a *attempt, stream grpc.BidiStreamingClient[peerv1.ProbeRequest, peerv1.ProbeResponse], conn net.Conn) {
	a.stream, a.conn, a.upAt = stream, conn, now
	if a.path.known.Outcome == ring.PathRefused {
		a.path.known = ring.Path{}
	}
	// Between two ticks: do not let it wait for the next.
	m.send(a, m.watch.Newest(a.neighbour.target.ID))
}

// answered takes an answer, and reports whether it is the neighbour's own: only that
// counts for it.
func (m *monitor) answered(now mono.Instant, a *attempt, by ring.Answer) bool {
	n, p := a.neighbour, a.path
	a.answered++
	a.heardOf(by)
	if by.Incarnation == m.o.Incarnation && m.o.Incarnation != 0 {
		m.leave(now, a, ring.Path{Outcome: ring.PathOwn})
		return false
	}
	known := ring.Path{Outcome: ring.PathAnswered, Answer: a.by}
	match := n.wanted.Match(a.by)
	if match == ring.Elsewhere {
		m.leave(now, a, known)
		return false
	}
	p.known = known
	if a.answered == 1 {
		p.conn.Won(a.try)
		m.act(now, n, p)
	}
	if match != ring.Itself {
		m.judge(now, n)
		return false
	}
	if now.Sub(a.upAt) >= m.watch.Timing(n.target.ID).Interval {
		p.conn.Proved()
	}
	if !n.wasUp {
		n.wasUp = true
		m.linkState(n.target, localv1.LinkState_STATE_UP, p.addr)
	}
	return true
}

// logRun tells how many probes in a row were missed before this answer, which
// is how far the link was from a false alarm.
func (m *monitor) logRun(n *neighbour) {
	if !m.o.Logger.IsDebug() {
		return
	}
	if run := m.watch.Ran(n.target.ID); run.Missed > 0 {
		m.o.Logger.Debug("answered after missed probes", "peer", n.target.Name, "id", n.target.ID,
			"interval", m.watch.Timing(n.target.ID).Interval, "missed", run.Missed, "counted", run.Counted, "elapsed", run.Silence)
	}
}

// streamDown takes the end of an attempt: err says why, and local that this machine
// refused it at an address of its own.
func (m *monitor) streamDown(now mono.Instant, a *attempt, err error, local bool) {
	n, p := a.neighbour, a.path
	m.stir(now)
	p.drop(a)
	if a.stream != nil {
		m.broke(now, a, err)
		return
	}
	why := connect.Reason(err)
	if why == policy.Own {
		m.leave(now, a, ring.Path{Outcome: ring.PathOwn})
		return
	}
	p.known = ring.Path{}
	if why == policy.NobodyListens {
		p.known = ring.Path{Outcome: ring.PathRefused, Local: local}
	}
	p.conn.Rules = rules(m.watch.Timing(n.target.ID))
	p.conn.Failed(now, a.try, why)
	m.o.Logger.Debug("a probe stream cannot be had", "peer", n.target.Name, "address", p.addr, "attempt", p.conn.Failures(),
		"refused", why == policy.NobodyListens, "error", err)
	m.judge(now, n)
}

// broke takes the end of a stream that was up: it is dialled again at once, unless
// it broke as soon as it was up.
func (m *monitor) broke(now mono.Instant, a *attempt, err error) {
	n, p := a.neighbour, a.path
	m.o.Logger.Debug("a probe stream broke", "peer", n.target.Name, "address", p.addr, "error", err)
	p.known = ring.Path{}
	p.conn.Rules = rules(m.watch.Timing(n.target.ID))
	p.conn.Lost(now, a.try, policy.Unanswered)
	if len(p.attempts) == 0 {
		if m.act(now, n, p); len(p.attempts) > 0 {
			m.linkState(n.target, localv1.LinkState_STATE_REDIALLED, p.addr)
		}
	}
	if !n.some(func(a *attempt) bool { return a.stream != nil }) {
		m.carryOut(now, m.watch.Broken(now, n.target.ID))
	}
}

// nextQuick returns when the next quick try is due.
func (m *monitor) nextQuick() mono.Instant {
	at := mono.Never
	for _, n := range m.neighbours {
		for _, p := range n.paths {
			at = min(at, p.conn.Quick())
		}
	}
	return at
}

func (m *monitor) tryQuickly(now mono.Instant) {
	for _, n := range m.neighbours {
		for _, p := range n.paths {
			if now >= p.conn.Quick() {
				m.act(now, n, p)
			}
		}
	}
}
