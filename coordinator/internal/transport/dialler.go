package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/trust"
)

// dialler is what belongs to a path's goroutine alone: the stream in use and
// the tries for the next one, which begin and end as the policy says.
type dialler struct {
	*path
	// conn decides; it has to hear of everything that happens to a stream or a try.
	conn *policy.Connection
	// stream is the one in use, of the try streamOf.
	stream   *outbound
	streamOf uint64
	results  chan result
	timer    *time.Timer
	// tries are those under way that were not given up; unended counts all.
	tries   map[uint64]*attempt
	unended int
	// self is the identity that the stream or the tries are for.
	self Identity
	// began is when the tries for a stream began, zero while none is tried.
	began  time.Time
	warned bool
	// telling is the newest failure of these tries at an address that is not this
	// node's own.
	telling result
	// listed is the incarnation that SetPeers last told, 0 if none.
	listed uint64
}

// attempt is one try at one address.
type attempt struct {
	cancel context.CancelFunc
	// linked: there is a connection, and the peer's hello is waited for.
	linked atomic.Bool
}

type result struct {
	try    uint64
	addr   string
	stream *outbound
	err    error
}

// newDialler makes the dialler of a new path, under Transport.mu.
func newDialler(p *path) *dialler {
	return &dialler{
		path: p, listed: p.info.Incarnation, conn: policy.New(dialRules, rand.N[time.Duration]), tries: map[uint64]*attempt{},
		results: make(chan result, dialRules.Most), timer: time.NewTimer(time.Hour),
	}
}

// act does what the policy wants done now, and sets the timer for the next time.
func (d *dialler) act() {
	now := d.t.now()
	var s policy.Sight
	if d.conn.Due(now) {
		s = d.sight(now)
	}
	for _, a := range d.conn.Tick(now, s) {
		if a.Address != "" {
			d.dial(a)
		} else if t := d.tries[a.Try]; t != nil {
			t.cancel()
			delete(d.tries, a.Try)
		}
	}
	if !d.conn.State().Trying() {
		d.began, d.telling = time.Time{}, result{}
	} else if d.began.IsZero() {
		d.began = time.Now()
	}
	d.timer.Reset(d.conn.Next().Sub(d.t.now()))
}

// sight is what the policy needs to know before a try.
func (d *dialler) sight(now mono.Instant) policy.Sight {
	d.t.mu.Lock()
	d.resting = false
	distant := d.info.Distant
	d.t.mu.Unlock()
	s := policy.Sight{Unwanted: distant && d.queue.empty(), Stuck: d.stream != nil && d.stream.stuck(0), Crowded: d.t.tries.Load() > limits.CrowdedTries}
	for _, t := range d.tries {
		s.Linked = s.Linked || t.linked.Load()
	}
	// Without an identity nothing is tried until that changes.
	if self := d.t.opts.Self(); self.ID != 0 && self.ID != d.id {
		if d.self.ID != 0 && !d.self.sameHello(self) {
			d.conn.GiveUp()
			d.conn.Begin(now)
		}
		d.self = self // the addresses that it tells may be others
		s.Addresses = d.targets()
	}
	return s
}

func (d *dialler) dial(a policy.Action) {
	ctx, cancel := context.WithCancel(d.t.ctx)
	t, self := &attempt{cancel: cancel}, d.self
	d.tries[a.Try] = t
	d.unended++
	d.t.wg.Go(func() {
		d.t.tries.Add(1)
		s, err := d.t.attempt(ctx, d.id, a.Address, self, &t.linked)
		d.t.tries.Add(-1)
		cancel()
		d.results <- result{a.Try, a.Address, s, err}
	})
}

// result takes the outcome of a try.
func (d *dialler) result(r result) {
	given := d.tries[r.try] == nil
	delete(d.tries, r.try)
	d.unended--
	switch {
	case given:
		d.conn.Drop(r.try)
	case !slices.Contains(d.targets(), r.addr):
		d.conn.Drop(r.try)
		d.conn.Begin(d.t.now())
	case r.err != nil:
		d.failed(r)
	case d.stream != nil && !d.stream.stuck(0):
		d.conn.Drop(r.try)
		d.conn.GiveUp()
	case !r.stream.self.sameHello(d.t.opts.Self()):
		d.conn.Drop(r.try)
		d.conn.Begin(d.t.now())
	default:
		d.conn.Won(r.try)
		d.adopt(r)
		return
	}
	if r.stream != nil {
		r.stream.close()
	}
}

// failed reports a failed try. It is loud once until there is a stream again,
// and only if no other address worked instead.
func (d *dialler) failed(r result) {
	say, why := "peer cannot be reached", connect.Reason(r.err)
	switch {
	case errors.Is(r.err, errEvicted):
		d.t.mu.Lock()
		d.hushLocked() // this very peer: another one may have its id by now
		d.t.mu.Unlock()
	case why == policy.Rejected:
		say = "peer refused our hello"
	}
	stranger := errors.Is(r.err, trust.ErrCertificate) || errors.Is(r.err, trust.ErrClear)
	d.t.mu.Lock()
	if d.elsewhere = why == policy.Rejected || why == policy.Own || stranger; d.elsewhere {
		d.local = netip.Addr{}
	}
	d.t.mu.Unlock()
	before := d.conn.Failures()
	d.conn.Slow = d.isQuiet()
	d.conn.Failed(d.t.now(), r.try, why)

	log := d.t.log.Debug
	allFailed := d.conn.Failures() > before
	loud := allFailed || time.Since(d.began) >= durations.PeerConnect
	switch {
	case why != policy.Own:
		d.telling = r
	case d.telling.err != nil:
		r = d.telling // that the peer has an address of ours too explains nothing
	default:
		loud = allFailed
	}
	if !d.warned && loud && !d.isUp() {
		log, d.warned = d.t.log.Warn, true
	}
	log(say, "peer", d.name(), "to", d.id, "address", r.addr, "attempt", before+1, "error", r.err)
}
