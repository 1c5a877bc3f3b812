package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

// Core is what the event loop owns and steps; *election.Node is the real one.
type Core interface {
	Receive(now election.Instant, m election.Message)
	Report(now election.Instant, s ring.Opinion)
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
	StatusVersion(now election.Instant) election.StatusVersion
	Answered(now election.Instant, a election.Standing)
	Standing(now election.Instant, id uint64) election.Standing
	Progress() (index map[uint64]uint64, committed uint64)
}

var _ Core = (*election.Node)(nil)

// Alarm is the timer of the loop, by its clock; *monotime.Timer is the real one.
type Alarm interface {
	At(moment election.Instant)
	Fired()
}

// ErrUnborn: the ring that this node founded, or joined, never had a leader.
var ErrUnborn = errors.New("a ring without a first leader")

// SupersededError: the core found out that another process is this member.
type SupersededError struct{ election.Superseded }

func (e *SupersededError) Error() string {
	return fmt.Sprintf("%v: process %d at %s", election.ErrSuperseded, e.By, strings.Join(e.Addresses, ", "))
}

func (e *SupersededError) Unwrap() error { return election.ErrSuperseded }

// Loop is one membership's event loop: the only goroutine that touches the
// core. Inputs come through the inbox; each one is stepped, the view that
// follows from it is published, and then its effects are carried out.
type Loop struct {
	o     Options
	phase atomic.Value // phase
	// first are the effects of making the core.
	first []election.Effect
	// catchingUp suppresses events after a rejoin until the applied state includes
	// this node again.
	catchingUp bool

	inbox  *inbox
	writer *writer

	// waiting are the requests under way by their Ref; the loop's own.
	waiting map[uint64]chan<- election.Done
	refs    atomic.Uint64 // that were given so far

	// deferral holds back what nobody waits for.
	deferral election.Deferral
	// toLog write the lines that wait until logAt.
	toLog []func()
	logAt election.Instant

	// version is what the status of the newest view was made of.
	version election.StatusVersion
	// known is the leader that the newest view was published with; its ID is 0
	// without one.
	known ring.Member
	// missing are the sentences on whom the ring waits for that were logged since a leader
	// was known last.
	missing map[string]bool
	// lost is the token of the leader that was told as lost last, 0 when one is
	// known.
	lost uint64

	// busySince is when the loop began what it is doing now, 0 while it
	// waits.
	busySince atomic.Int64
	// heardPeer: a member's message ever came in.
	heardPeer atomic.Bool

	// complained is when a sender of nonsense was last complained of.
	complained map[uint64]election.Instant
	// over is why the membership is, nil while it is not.
	over error
	// life ends when run has returned endErr.
	life   context.Context
	end    context.CancelFunc
	endErr error
	quit   context.Context
	// Stop ends Run; the caller waits for the end of Life.
	Stop context.CancelFunc
}

// Options is what a loop is made of.
type Options struct {
	Log   hclog.Logger
	Clock func() election.Instant
	// Alarm gives a token to AlarmC when its moment came.
	Alarm  Alarm
	AlarmC <-chan struct{}
	Core   Core
	Store  Store
	Hub    *publish.Hub
	Events publish.Events
	ID     uint64
	RingID string
	// CarryOut carries out an effect that the loop itself does not. What comes of a
	// Probe goes to Loop.Probed, and the answers to an Inquire to Loop.Answered. Like
	// the two below it must not block: it hands over to a bounded queue or a goroutine
	// of its own.
	CarryOut func(election.Effect)
	// Target returns the name of whom the monitor probes.
	Target func() string
	// Published says that the leader known here changed.
	Published func()
	// Rejoins says that subscribers of an earlier membership may be there.
	Rejoins bool
}

// New makes a loop that does nothing before Begin and Run.
func New(o Options) *Loop {
	l := &Loop{
		o: o, catchingUp: o.Rejoins, inbox: newInbox(), waiting: map[uint64]chan<- election.Done{}, complained: map[uint64]election.Instant{}, missing: map[string]bool{},
		deferral: election.NewDeferral(o.ID, o.Core.State()),
	}
	l.life, l.end = context.WithCancel(context.Background())
	l.quit, l.Stop = context.WithCancel(l.life)
	l.phase.Store(publish.Member)
	l.writer = newWriter(o.Store, func(seq uint64) {
		l.inbox.postUnbounded(func(now election.Instant) { l.o.Core.Persisted(now, seq) })
	})
	return l
}

// Run is the event loop. It returns nil after stop, an error that wraps
// election.ErrRemoved when this node is no member any more, one that wraps
// election.ErrSuperseded when another process is the member, and one that wraps
// ErrStorage when the log could not be written.
func (l *Loop) Run() (err error) {
	l.writer.start()
	defer func() {
		l.inbox.close()
		l.tell(l.toLog)
		l.writer.stop()
		l.endErr = err
		l.end()
	}()
	l.start()
	l.arm()
	for l.over == nil {
		select {
		case <-l.quit.Done():
			return nil
		case err := <-l.writer.failed:
			return err
		case <-l.inbox.wake:
		case <-l.o.AlarmC:
			l.o.Alarm.Fired()
			// After a stall of the process the answers that prolong a lease are
			// there as soon as the alarm of its end is: let them be read first.
			runtime.Gosched()
		}
		l.turn()
	}
	return l.over
}

// Begin publishes the first view, before run. Subscribers get the sum of what the
// disk held, not each entry.
func (l *Loop) Begin() {
	l.first = l.o.Core.Effects()
	now := l.o.Clock()
	v := &publish.View{Phase: publish.Member, ID: l.o.ID, RingID: l.o.RingID, Ring: l.o.Core.State(), Status: l.o.Core.Status(now), LeaderEnd: l.o.Core.LeaderUntil()}
	l.known, _ = v.Leader(now)
	if l.catchingUp {
		l.o.Hub.Publish(v, nil)
		return
	}
	l.o.Hub.Publish(v, l.o.Events.Changes(v.Ring, publish.Missed(l.o.Hub.Load().Ring, v.Ring)))
}

// start carries out what making the core has led to.
func (l *Loop) start() {
	logged := l.publish(l.o.Clock(), slices.DeleteFunc(slices.Clone(l.first), func(e election.Effect) bool {
		_, told := e.(election.Applied)
		return told
	}), l.first)
	for _, e := range l.first {
		l.carryOut(e)
	}
	l.first = nil
	l.tell(logged)
}

// Life returns a context that ends when run has returned.
func (l *Loop) Life() context.Context { return l.life }

// Err returns what run has returned; it must have.
func (l *Loop) Err() error { return l.endErr }

// Heard reports whether a member's message ever came in.
func (l *Loop) Heard() bool { return l.heardPeer.Load() }

// Over reports whether run has returned, and whether because this node is out of
// the ring.
func (l *Loop) Over() (ended, out bool) {
	if l.life.Err() == nil {
		return false, false
	}
	return true, errors.Is(l.endErr, election.ErrRemoved)
}

// turn handles all that has come in, and the time, and then settles once: what
// comes in together is told as what it comes to.
func (l *Loop) turn() {
	l.busySince.Store(int64(l.o.Clock()))
	defer l.busySince.Store(0)
	items, lost := l.inbox.take()
	if lost > 0 {
		l.o.Log.Warn("peer messages dropped, the event loop is behind", "count", lost)
	}
	for i := range items {
		switch in := &items[i]; in.kind {
		case isMessage:
			l.o.Core.Receive(l.o.Clock(), in.message)
			l.heardPeer.Store(true)
		case isPing:
			l.o.Core.Pinged(l.o.Clock(), in.ping)
		case isInput:
			in.input(l.o.Clock())
		}
	}
	l.inbox.recycle(items)
	now := l.o.Clock()
	if now >= l.o.Core.NextWake() {
		l.o.Core.Tick(now)
	}
	l.settle(now)
	l.arm()
}

// arm sets the alarm for the core's next wake, or for what is held back, the log
// included.
func (l *Loop) arm() {
	next := min(l.o.Core.NextWake(), l.deferral.Ends())
	if len(l.toLog) > 0 {
		next = min(next, l.logAt)
	}
	l.o.Alarm.At(next)
}

// Stuck tells for how long the loop has been at one turn.
func (l *Loop) Stuck() time.Duration {
	since := l.busySince.Load()
	if since == 0 {
		return 0
	}
	return l.o.Clock().Sub(mono.Instant(since))
}

// Request hands a wish to the core and waits for its end. An error other than
// the request's own says that the outcome is not known or that it never began.
func (l *Loop) Request(ctx context.Context, r election.Request) (election.Done, error) {
	answer := make(chan election.Done, 1)
	r.Ref = l.refs.Add(1)
	err := l.inbox.post(func(now election.Instant) {
		l.waiting[r.Ref] = answer
		l.o.Core.Request(now, r)
	})
	if err != nil {
		return election.Done{}, err
	}
	select {
	case d := <-answer:
		return d, d.Err
	case <-ctx.Done():
		l.inbox.postUnbounded(func(election.Instant) { delete(l.waiting, r.Ref) })
		return election.Done{}, fmt.Errorf("wait for the change to be committed: %w", ctx.Err())
	case <-l.life.Done():
	}
	select {
	case d := <-answer:
		return d, d.Err
	default:
		return election.Done{}, cmp.Or(l.endErr, reason.ErrStopping)
	}
}

// ask has f answer on the loop's goroutine.
func ask[T any](ctx context.Context, l *Loop, f func(now election.Instant) T) (answer T, err error) {
	answers := make(chan T, 1)
	if err := l.inbox.post(func(now election.Instant) { answers <- f(now) }); err != nil {
		return answer, err
	}
	select {
	case answer = <-answers:
		return answer, nil
	case <-l.life.Done():
		return answer, reason.ErrStopping
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}

// Standing asks the core what it says of a member.
func (l *Loop) Standing(ctx context.Context, id uint64) (election.Standing, error) {
	return ask(ctx, l, func(now election.Instant) election.Standing { return l.o.Core.Standing(now, id) })
}

// Progress asks the core how far the members' logs are, as far as it knows. It
// gives up on a loop that does not answer: the rest of the status needs none.
func (l *Loop) Progress(ctx context.Context) (index map[uint64]uint64, committed uint64) {
	ctx, cancel := context.WithTimeout(ctx, durations.StatusWait)
	defer cancel()
	type progress struct {
		index     map[uint64]uint64
		committed uint64
	}
	p, _ := ask(ctx, l, func(election.Instant) (p progress) {
		p.index, p.committed = l.o.Core.Progress()
		return p
	})
	return p.index, p.committed
}

// SetPhase publishes a change of the phase.
func (l *Loop) SetPhase(p publish.Phase) {
	l.phase.Store(p)
	l.inbox.postUnbounded(func(election.Instant) {}) // every input ends with a published view
}
