package coordinator

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// core is what the event loop owns and steps; *election.Node is the real one.
type core interface {
	Receive(now election.Instant, m election.Message)
	Report(now election.Instant, s election.Suspicion)
	MonitorRuns(now election.Instant, runs bool)
	Certify(now election.Instant, c election.Certificate)
	Pinged(now election.Instant, p election.Ping)
	Probed(now election.Instant, r election.ProbeResult)
	Persisted(now election.Instant, seq uint64)
	Unreachable(now election.Instant, id uint64)
	Readdress(now election.Instant, addresses []string)
	Request(now election.Instant, r election.Request)
	Tick(now election.Instant)
	NextWake() election.Instant
	Effects() []election.Effect
	ClaimUntil() (term uint64, end election.Instant)
	LeaderUntil() election.Instant
	State() *ring.State
	Status(now election.Instant) election.Status
	Look(now election.Instant) election.Look
	Answered(now election.Instant, a election.Standing)
	Standing(now election.Instant, id uint64) election.Standing
	Progress() (index map[uint64]uint64, committed uint64)
}

var _ core = (*election.Node)(nil)

// alarm is the timer of the loop, by its clock; *monotime.Timer is the real one.
type alarm interface {
	At(moment election.Instant)
	Off()
	Fired()
}

// hands are what the event loop carries effects out with. None of them may
// block: each hands over to a bounded queue or a goroutine of its own.
type hands struct {
	send func(election.Message)
	// probe tries a member and reports through loop.probed.
	probe func(election.Probe)
	// relink tells the monitor; it returns the names of the old and the new
	// target.
	relink func(r election.Relink, s *ring.State) (from, to string)
	// ringChanged tells those who work by the ring's state, peersChanged whom
	// messages go to.
	ringChanged  func(s *ring.State)
	peersChanged func(peers []election.Peer)
	// published says that the leader known here changed.
	published func()
	// suspected says that a member is thought dead here, or no longer.
	suspected func(id uint64, dead bool)
	// inquire asks others what they say of this member, and hands their answers
	// to loop.answered.
	inquire func()
}

// loop is one membership's event loop: the only goroutine that touches the
// core. Inputs come through the inbox; each one is stepped, the view that
// follows from it is published, and then its effects are carried out.
type loop struct {
	log    hclog.Logger
	clock  func() election.Instant
	core   core
	hands  hands
	hub    *publish.Hub
	events publish.Events
	phase  atomic.Value // phase
	id     uint64
	ringID string
	// first are the effects of making the core.
	first []election.Effect
	// behind: the ring is told to have changed only when this node, which was
	// in it before, knows a state that has it back.
	behind bool

	inbox  *inbox
	writer *writer
	alarm  alarm
	rings  <-chan struct{}

	// waiting are the requests under way by their Ref; the loop's own.
	waiting map[uint64]chan<- election.Done
	nextRef uint64

	// deferral holds back what nobody waits for.
	deferral election.Deferral
	// toLog are the events for the log, which is told at logAt.
	toLog []*arcv1.Event
	logAt election.Instant

	// looked is what the status of the newest view was made of.
	looked election.Look
	// known is the leader that the newest view was published with; its ID is 0
	// without one.
	known ring.Member
	// missing is whom the ring needed when that was logged last, "" if nobody.
	missing string
	// lost is the token of the leader that was told as lost last, 0 when one is
	// known.
	lost uint64

	// busySince is when the loop began what it is doing now, 0 while it
	// waits.
	busySince atomic.Int64
	// heardPeer is when a member's message last came in, 0 if never.
	heardPeer atomic.Int64

	// complained is when a sender of nonsense was last complained of.
	complained map[uint64]election.Instant
	removed    *election.Removed
	superseded *election.Superseded
	// ended is closed when run has returned endErr.
	ended  chan struct{}
	endErr error
	once   sync.Once
	quit   chan struct{}
}

// loopConfig is what a loop is made of.
type loopConfig struct {
	log   hclog.Logger
	clock func() election.Instant
	// alarm gives a token to rings when its moment came.
	alarm  alarm
	rings  <-chan struct{}
	core   core
	store  store
	hub    *publish.Hub
	events publish.Events
	id     uint64
	ringID string
	// rejoins: watchers of an earlier membership may be there.
	rejoins bool
}

func newLoop(c loopConfig) *loop {
	l := &loop{
		log: c.log, clock: c.clock, core: c.core, hub: c.hub, events: c.events, id: c.id, ringID: c.ringID, behind: c.rejoins,
		alarm: c.alarm, rings: c.rings, inbox: newInbox(), waiting: map[uint64]chan<- election.Done{}, complained: map[uint64]election.Instant{},
		ended: make(chan struct{}), quit: make(chan struct{}),
	}
	l.deferral = election.NewDeferral(c.id, c.core.State())
	l.phase.Store(publish.Member)
	l.writer = newWriter(c.store, func(seq uint64) {
		l.inbox.must(func(now election.Instant) { l.core.Persisted(now, seq) })
	})
	return l
}

// run is the event loop. It returns nil after stop, an error that wraps
// election.ErrRemoved when this node is no member any more, one that wraps
// election.ErrSuperseded when another process is the member, and one that wraps
// ErrStorage when the log could not be written.
func (l *loop) run() (err error) {
	l.writer.start()
	defer func() {
		l.inbox.close()
		l.tell(l.toLog)
		l.writer.stop()
		l.endErr = err
		close(l.ended)
	}()
	l.start()
	l.arm()
	for l.removed == nil && l.superseded == nil {
		select {
		case <-l.quit:
			return nil
		case err := <-l.writer.failed:
			return err
		case <-l.inbox.wake:
		case <-l.rings:
			l.alarm.Fired()
			// After a stall of the process the answers that prolong a lease are
			// there as soon as the alarm of its end is: let them be read first.
			runtime.Gosched()
		}
		l.turn()
	}
	if s := l.superseded; s != nil {
		return &heldError{*s}
	}
	if l.removed.Unborn {
		return fmt.Errorf("%w: %w: %s", election.ErrRemoved, errUnborn, l.removed.Why)
	}
	return fmt.Errorf("%w at epoch %d: %s", election.ErrRemoved, l.removed.Epoch, l.removed.Why)
}

// begin publishes the first view, before run. What the disk held is no news
// entry by entry: who watches hears what it comes to.
func (l *loop) begin() {
	l.first = l.core.Effects()
	now := l.clock()
	v := &publish.View{Phase: publish.Member, ID: l.id, RingID: l.ringID, Ring: l.core.State(), Status: l.core.Status(now), LeaderEnd: l.core.LeaderUntil()}
	l.known, _ = v.Leader(now)
	if l.behind {
		l.hub.Publish(v, nil)
		return
	}
	l.hub.Publish(v, l.events.Changes(v.Ring, publish.Missed(l.hub.Load().Ring, v.Ring)))
}

// start carries out what making the core has led to.
func (l *loop) start() {
	news := l.publish(l.clock(), slices.DeleteFunc(slices.Clone(l.first), func(e election.Effect) bool {
		_, told := e.(election.Applied)
		return told
	}))
	for _, e := range l.first {
		l.carryOut(e)
	}
	l.first = nil
	l.tell(news)
}

// stop ends run; the caller waits on ended.
func (l *loop) stop() { l.once.Do(func() { close(l.quit) }) }

// over tells whether run has returned, and whether because this node is out of
// the ring.
func (l *loop) over() (ended, out bool) {
	select {
	case <-l.ended:
		return true, removed(l.endErr)
	default:
		return false, false
	}
}

// turn handles all that has come in, and the time, and then settles once: what
// comes in together is told as what it comes to.
func (l *loop) turn() {
	l.busySince.Store(int64(l.clock()))
	defer l.busySince.Store(0)
	pings, messages, inputs, dropped := l.inbox.take()
	if dropped > 0 {
		l.log.Warn("peer messages dropped, the event loop is behind", "count", dropped)
	}
	for _, p := range pings {
		l.core.Pinged(l.clock(), p)
	}
	for _, in := range inputs {
		in(l.clock())
	}
	for _, m := range messages {
		l.core.Receive(l.clock(), m)
	}
	l.inbox.recycle(pings, messages, inputs)
	now := l.clock()
	if len(messages) > 0 {
		l.heardPeer.Store(int64(now))
	}
	if now >= l.core.NextWake() {
		l.core.Tick(now)
	}
	l.settle(now)
	l.arm()
}

// arm sets the alarm for the core's next wake, or for what is held back, the log
// included.
func (l *loop) arm() {
	next := min(l.core.NextWake(), l.deferral.Ends())
	if len(l.toLog) > 0 {
		next = min(next, l.logAt)
	}
	if next == election.Never {
		l.alarm.Off()
	} else {
		l.alarm.At(next)
	}
}

// stuck tells for how long the loop has been at one turn.
func (l *loop) stuck() time.Duration {
	since := l.busySince.Load()
	if since == 0 {
		return 0
	}
	return l.clock().Sub(mono.Instant(since))
}

// request hands a wish to the core and waits for its end. An error other than
// the request's own says that the outcome is not known or that it never began.
func (l *loop) request(ctx context.Context, r election.Request) (election.Done, error) {
	answer := make(chan election.Done, 1)
	ref := make(chan uint64, 1)
	err := l.inbox.post(func(now election.Instant) {
		l.nextRef++
		r.Ref = l.nextRef
		l.waiting[r.Ref] = answer
		ref <- r.Ref
		l.core.Request(now, r)
	})
	if err != nil {
		return election.Done{}, err
	}
	select {
	case d := <-answer:
		return d, d.Err
	case <-ctx.Done():
		l.inbox.must(func(election.Instant) {
			select {
			case n := <-ref:
				delete(l.waiting, n)
			default: // never begun
			}
		})
		return election.Done{}, fmt.Errorf("wait for the change to be committed: %w", ctx.Err())
	case <-l.ended:
		select {
		case d := <-answer:
			return d, d.Err
		default:
		}
		if l.endErr != nil {
			return election.Done{}, l.endErr
		}
		return election.Done{}, reason.ErrStopping
	}
}

// progressWait is how long a reader of the status waits for the event loop.
const progressWait = 100 * time.Millisecond

// progress asks the core how far the members' logs are, as far as it knows. It
// gives up on a loop that does not answer: the rest of the status needs none.
func (l *loop) progress(ctx context.Context) (index map[uint64]uint64, committed uint64) {
	type answer struct {
		index     map[uint64]uint64
		committed uint64
	}
	got := make(chan answer, 1)
	if l.inbox.post(func(election.Instant) {
		index, committed := l.core.Progress()
		got <- answer{index, committed}
	}) != nil {
		return nil, 0
	}
	ctx, cancel := context.WithTimeout(ctx, progressWait)
	defer cancel()
	select {
	case a := <-got:
		return a.index, a.committed
	case <-ctx.Done():
	case <-l.ended:
	}
	return nil, 0
}

// setPhase publishes a change of the phase.
func (l *loop) setPhase(p publish.Phase) {
	l.phase.Store(p)
	l.inbox.must(func(election.Instant) {}) // every input ends with a published view
}
