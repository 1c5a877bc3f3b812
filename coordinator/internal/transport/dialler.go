package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/connect"
)

// dialler is what belongs to a peer's goroutine alone: the stream in use and
// the race for the next one. A race goes in rounds over all addresses, until
// a stream is won.
type dialler struct {
	*peer
	stream  *outbound
	results chan result
	timer   *time.Timer

	racing bool
	// gen numbers the races: results of earlier ones are thrown away.
	gen    uint64
	ctx    context.Context
	cancel context.CancelFunc
	// self is the identity that the stream or the race is for.
	self Identity
	// todo are the addresses left in this round, good the one that last worked.
	todo []string
	good string
	// began is when the last try was started, raceBegan when the race was.
	began, raceBegan time.Time
	// live counts this race's unanswered tries, pending those of all races.
	live, pending int
	// overlaps counts rounds begun while tries of the last one were pending,
	// failures those that failed altogether.
	overlaps, failures int
	refused            bool
	warned             bool
	// telling is this race's newest failure at an address that is not this
	// node's own.
	telling result
	// linked counts this race's tries that have a connection.
	linked *atomic.Int32
	// listed is the incarnation that SetPeers last told, 0 if none.
	listed uint64
	// review runs while the peer is provisional.
	review *time.Timer
	// stallRaced is when an unacknowledged message last began a race.
	stallRaced time.Time
}

type result struct {
	gen    uint64
	addr   string
	stream *outbound
	err    error
}

func newDialler(p *peer) *dialler {
	d := &dialler{peer: p, results: make(chan result, maxPending), timer: time.NewTimer(time.Hour), review: time.NewTimer(time.Hour), linked: new(atomic.Int32)}
	d.timer.Stop()
	d.review.Stop()
	p.mu.Lock()
	d.listed = p.info.Incarnation
	p.mu.Unlock()
	d.ctx, d.cancel = context.WithCancel(p.t.ctx)
	return d
}

// race begins a race, or a new round of the present one, after a pause.
func (d *dialler) race(pause time.Duration) {
	if !d.racing {
		d.racing, d.raceBegan = true, time.Now()
	}
	d.todo = nil
	d.timer.Reset(pause)
}

// endRace gives up all tries.
func (d *dialler) endRace() {
	d.cancel()
	d.ctx, d.cancel = context.WithCancel(d.t.ctx)
	d.gen++
	d.linked = new(atomic.Int32)
	d.racing, d.todo, d.live, d.overlaps, d.refused = false, nil, 0, 0, false
	d.telling = result{}
	d.timer.Stop()
}

// due: the next try.
func (d *dialler) due() {
	if !d.racing {
		return
	}
	d.mu.Lock()
	d.resting = false
	d.mu.Unlock()
	if d.stream == nil && d.live == 0 && d.idle() {
		d.endRace() // until there is something to send
		return
	}
	if d.stream != nil && !d.stream.stuck(0) {
		d.endRace() // it recovered
		return
	}
	if len(d.todo) == 0 && d.linked.Load() > 0 && time.Since(d.began) < patienceLinked {
		d.timer.Reset(patienceFirst)
		return
	}
	if len(d.todo) == 0 && d.live > 0 && d.t.tries.Load() > crowded {
		d.timer.Reset(patienceLinked)
		return
	}
	if len(d.todo) == 0 && !d.newRound() {
		d.racing = false // until the identity or the addresses change
		return
	}
	if d.pending < maxPending {
		addr := d.todo[0]
		d.todo = d.todo[1:]
		d.pending++
		d.live++
		d.began = time.Now()
		ctx, gen, self, linked := d.ctx, d.gen, d.self, d.linked
		d.t.wg.Go(func() {
			d.t.tries.Add(1)
			s, err := d.t.attempt(ctx, d.id, addr, self, linked)
			d.t.tries.Add(-1)
			d.results <- result{gen: gen, addr: addr, stream: s, err: err}
		})
	}
	if len(d.todo) > 0 {
		d.timer.Reset(addressStagger)
		return
	}
	d.overlaps++
	if d.overlaps < patientAfter {
		d.timer.Reset(patienceFirst)
	} else {
		d.timer.Reset(patienceThen)
	}
}

// newRound lists the addresses, the one that worked last first.
func (d *dialler) newRound() bool {
	self := d.t.opts.Self()
	if self.ID == 0 || self.ID == d.id {
		return false
	}
	if !d.self.sameHello(self) {
		d.endRace()
		d.racing = true
	}
	d.self = self // the addresses that it tells may be others
	d.todo = d.addresses()
	if i := slices.Index(d.todo, d.good); i > 0 {
		d.todo[0], d.todo[i] = d.todo[i], d.todo[0]
	}
	return len(d.todo) > 0
}

// result takes the outcome of a try.
func (d *dialler) result(r result) {
	d.pending--
	if r.gen != d.gen {
		if r.stream != nil {
			r.stream.close()
		}
		return
	}
	d.live--
	if r.err == nil {
		if d.stream != nil && !d.stream.stuck(0) {
			r.stream.close()
			d.endRace()
			return
		}
		if !r.stream.self.sameHello(d.t.opts.Self()) {
			r.stream.close()
			d.race(0)
			return
		}
		d.adopt(r.stream)
		return
	}
	d.failed(r)
	switch {
	case len(d.todo) > 0:
		d.timer.Reset(0)
	case d.live == 0:
		d.failures++
		d.overlaps = 0
		pause := backoff(d.failures)
		switch {
		case d.isQuiet():
			pause = jitter(quietPause)
		case d.refused:
			pause = jitter(backoffMax)
		}
		d.refused = false
		d.race(pause)
	}
}

// failed reports a failed try. It is loud once until there is a stream again,
// and only if no other address worked instead.
func (d *dialler) failed(r result) {
	say := "peer cannot be reached"
	switch code := status.Code(r.err); {
	case errors.Is(r.err, errEvicted):
		d.setQuiet()
	case code == codes.FailedPrecondition, code == codes.InvalidArgument, code == codes.Unauthenticated, code == codes.PermissionDenied, code == codes.Unimplemented:
		say = "peer refused our hello"
		d.refused = true
		if d.t.opts.RefusedHello != nil {
			d.t.opts.RefusedHello(d.id, r.err)
		}
	}
	log := d.t.log.Debug
	allFailed := d.live == 0 && len(d.todo) == 0
	loud := allFailed || time.Since(d.raceBegan) >= connectWait
	switch {
	case !errors.Is(r.err, connect.ErrOwn):
		d.telling = r
	case d.telling.err != nil:
		r = d.telling // that the peer has an address of ours too explains nothing
	default:
		loud = allFailed
	}
	if !d.warned && loud {
		log, d.warned = d.t.log.Warn, true
	}
	log(say, "peer", d.name(), "to", d.id, "address", r.addr, "attempt", d.failures+1, "error", r.err)
}

// backoff is the pause after so many failed rounds in a row.
func backoff(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	return jitter(min(backoffFirst<<min(failures-1, 10), backoffMax))
}

// jitter keeps those who lost a peer at the same moment from meeting again.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}
