package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/heap"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/internal/peerwire"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/queue"
	"github.com/arc-ring/arc/ring"
)

// Options is what Run needs.
type Options struct {
	// Queue brings the links. Run closes it.
	Queue *queue.Receiver
	// LocalSocket is the path of the own coordinator's unix socket.
	LocalSocket string
	// CoordinatorPID is the own coordinator's process.
	CoordinatorPID int
	// Incarnation is the own coordinator's, drawn at its start. Links of
	// another one are refused: a certificate speaks of this one alone.
	Incarnation uint64
	// Trust has this node's keys; nil in the clear. Run reads them again, as the
	// coordinator does.
	Trust  *trust.Holder
	Logger hclog.Logger
	// Doorbell rings when a link was queued, or when an operator wants a fresh
	// dial. Signals returns it.
	Doorbell <-chan os.Signal
	// CertifyFor bounds how long a certificate is handed around; 0 means durations.Certify.
	CertifyFor time.Duration

	// signals is for tests, which cannot rely on being quick.
	signals signalOrigin
}

func (o *Options) check() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(o.Queue == nil, "no queue")
	bad(o.LocalSocket == "", "no local socket")
	bad(o.CoordinatorPID < 1, "%d is no pid of a coordinator", o.CoordinatorPID)
	bad(o.Logger == nil, "no logger")
	bad(o.Doorbell == nil, "no doorbell")
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrOptions, errors.Join(errs...))
	}
	return nil
}

// received is what the queue's reader hands to the loop.
type received struct {
	link *localv1.Link
	err  error
}

// monitor belongs to its loop.
type monitor struct {
	o         Options
	ctx       context.Context
	process   *process
	local     *local
	certifier *certifier
	watch     *detector.Watch
	hang      detector.Hang

	link       *localv1.Link // nil until the first
	neighbours map[uint64]*neighbour

	// dialer dials all but the own coordinator; selfAt are the addresses of that.
	dialer *connect.Dialer
	selfAt atomic.Pointer[[]string]

	links  chan received
	events chan event
	// noticed: a change of the network waits for the loop.
	noticed atomic.Bool
	// stirred is when something last happened that may be a failover or a part of one.
	stirred atomic.Int64
	// dialledDown is when the network's change last set off dials.
	dialledDown mono.Instant
	gone        chan struct{} // closed when the coordinator's process has ended
	attempts    sync.WaitGroup

	signals signalOrigin
	// abandoned is when the queue has been at its end for so long that another
	// monitor must have taken over; mono.Never while it has not ended.
	abandoned mono.Instant
	killed    string // why this monitor killed its coordinator
}

// Run is the life of a monitor. It returns nil when its coordinator has ended
// and that was certified as far as possible, or when ctx ended first;
// ErrAbandoned when the coordinator wants it no more; and an error that wraps
// ErrOptions or says what cannot be had. It leaves no goroutine behind.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	// First of all: from here on the end of the coordinator is not missed.
	p, err := openProcess(o.CoordinatorPID)
	if err != nil {
		return errors.Join(err, o.Queue.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &monitor{
		o: o, ctx: ctx, process: p, local: newLocal(&o), watch: detector.NewWatch(rand.Uint64()),
		neighbours: map[uint64]*neighbour{}, abandoned: mono.Never,
		signals: cmp.Or(o.signals, signalOrigin{grace: durations.DoorbellWait, belongs: durations.DoorbellBelongs}),
		links:   make(chan received), events: make(chan event, 256), gone: make(chan struct{}),
	}
	m.selfAt.Store(&[]string{})
	m.dialer = &connect.Dialer{Own: func() []string { return *m.selfAt.Load() }, Local: &hostaddr.Table{}}
	if o.Trust != nil {
		m.dialer.Credentials = o.Trust.Credentials()
	}
	m.certifier = newCertifier(&o, m.dialer)
	var wg sync.WaitGroup
	wg.Go(func() {
		if p.wait() == nil {
			close(m.gone)
		}
	})
	wg.Go(m.readQueue)
	wg.Go(func() { m.dialer.Local.Watch(ctx, o.Logger, m.networkChanged) })
	wg.Go(func() { m.local.run(ctx) })
	wg.Go(func() { heap.Collect(ctx, limits.Memory, m.idle) })
	if o.Trust != nil {
		wg.Go(func() { o.Trust.Watch(ctx, nil, o.Trust.LogTo(o.Logger)) })
	}
	defer func() {
		cancel()
		p.close()
		// Close fails only when it was called before.
		_ = o.Queue.Close()
		m.certifier.close()
		m.attempts.Wait()
		wg.Wait()
	}()
	m.hang.Configure(monotime.Now(), 0, durations.Beat)
	o.Logger.Info("monitor started", "pid", os.Getpid(), "coordinator-pid", o.CoordinatorPID)
	return m.loop()
}

// idle reports whether nothing has happened for so long that no failover is under way.
func (m *monitor) idle() bool {
	return monotime.Now().Sub(mono.Instant(m.stirred.Load())) >= durations.Idle
}

func (m *monitor) stir(now mono.Instant) { m.stirred.Store(int64(now)) }

func (m *monitor) readQueue() {
	for {
		l, err := m.o.Queue.Receive()
		if errors.Is(err, queue.ErrBadLink) || errors.Is(err, queue.ErrTooLarge) {
			m.o.Logger.Error("a link was refused; the old one stays", "error", err)
			continue
		}
		select {
		case m.links <- received{l, err}:
		case <-m.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (m *monitor) loop() error {
	timer, err := monotime.NewTimer()
	if err != nil {
		return err
	}
	defer timer.Close()
	for {
		timer.At(min(m.watch.NextTick(), m.hang.NextTick(), m.nextQuick(), m.signals.nextWake(), m.abandoned))
		select {
		case <-m.gone:
			return m.finish()
		case <-m.ctx.Done():
			if m.process.gone() {
				return m.finish()
			}
			m.o.Logger.Info("monitor stops", "reason", "it was told to, its coordinator lives")
			return nil
		case r := <-m.links:
			if err := m.take(monotime.Now(), r); err != nil {
				return err
			}
			if m.over() || m.abandoned != mono.Never && m.process.ending() {
				return m.finish()
			}
		case <-m.o.Doorbell:
			m.signals.signalled(monotime.Now())
		case e := <-m.events:
			m.handle(monotime.Now(), e)
		case <-timer.C:
			timer.Fired()
			// What came while this goroutine did not run is older than the
			// tick.
			m.catchUp()
			if err := m.tick(monotime.Now()); err != nil {
				return err
			}
		}
	}
}

func (m *monitor) catchUp() {
	for range cap(m.events) {
		select {
		case e := <-m.events:
			m.handle(monotime.Now(), e)
		default:
			return
		}
	}
}

func (m *monitor) tick(now mono.Instant) error {
	if now >= m.abandoned {
		if m.process.gone() {
			return m.finish()
		}
		return fmt.Errorf("process %d: %w", m.o.CoordinatorPID, ErrAbandoned)
	}
	if m.signals.operators(now) {
		m.dialAfresh(now, "an operator's signal")
	}
	m.tryQuickly(now)
	m.watchTick(now)
	m.hang.Beat(m.local.beat.Load())
	beat, hung := m.hang.Tick(now)
	if hung {
		m.kill(now)
	} else if beat != 0 {
		m.local.report(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Beat{Beat: beat}})
	}
	return nil
}

// kill ends the own coordinator, which does not answer any more. That it has
// ended is seen by the pidfd, as with any other end.
func (m *monitor) kill(now mono.Instant) {
	silent := m.hang.Silent().Round(time.Millisecond)
	m.hang.Configure(now, 0, durations.Beat)
	m.o.Logger.Error("killing the coordinator, which does not answer its own monitor", "pid", m.o.CoordinatorPID,
		"elapsed", silent, "reason", "hang_after_ms; 0 switches this off")
	if err := m.process.kill(); err != nil {
		m.o.Logger.Error("cannot kill the coordinator; kill it by hand", "pid", m.o.CoordinatorPID, "error", err)
		return
	}
	m.killed = fmt.Sprintf("killed by its monitor: it hung for %v", silent)
}

// carryOut does what the watch asks for.
func (m *monitor) carryOut(now mono.Instant, actions []detector.Action) {
	for _, a := range actions {
		switch a.Kind {
		case detector.Open:
			m.open(now, a.Target)
		case detector.Close:
			m.close(a.Target)
		case detector.Move:
			m.move(now, a.Target)
		case detector.Ping:
			m.ping(now, a)
		case detector.Say:
			m.say(a)
		}
	}
}

// say tells the coordinator what is thought of a member.
func (m *monitor) say(a detector.Action) {
	o := a.Opinion
	o.By = m.link.GetSelf().GetId()
	m.local.report(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Opinion{Opinion: peerwire.EncodeOpinion(o)}})
	if a.Repeat {
		return
	}
	args := []any{"peer", a.Target.Name, "id", o.ID, "term", o.Term, "reason", a.Reason.String()}
	switch o.Word.(type) {
	case ring.Clear:
		m.o.Logger.Info("suspicion cleared", args...)
	case ring.Doubt:
		m.o.Logger.Debug("doubted", args...)
	default:
		m.o.Logger.Warn("suspected", append(args, "evidence", string(o.Evidence()))...)
	}
}

func (m *monitor) linkState(t detector.Target, state localv1.LinkState_State, detail string) {
	m.local.report(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Link{Link: &localv1.LinkState{
		Epoch: m.link.GetEpoch(), Target: t.ID, TargetName: t.Name, State: state, Detail: detail,
	}}})
}

// finish takes what the coordinator queued last, and certifies its death.
func (m *monitor) finish() error {
	m.takeLast()
	self := m.link.GetSelf()
	if self.GetId() == 0 {
		m.o.Logger.Info("monitor ends: its coordinator has, and was in no ring")
		return nil
	}
	exit := cmp.Or(m.killed, m.link.GetEnding(), exitUnknown)
	// Nothing else than the coordinator, before it ended, has seen that it had ended
	// what it did as a leader.
	clean := m.killed == "" && m.link.GetEnding() != "" && m.link.GetClean()
	request := m.certificate(exit, clean)
	from := monotime.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), cmp.Or(m.o.CertifyFor, durations.Certify))
	defer cancel()
	missed := m.certifier.certify(ctx, request)
	m.o.Logger.Warn("certified the death of the coordinator", "node", self.GetName(), "id", self.GetId(), "reason", exit,
		"told", len(m.certifier.targets)-missed, "missed", missed, "elapsed", (monotime.Now().Sub(from)).Round(10*time.Microsecond))
	return nil
}

// certificate is signed before others get it, so that they can pass it on.
func (m *monitor) certificate(exit string, clean bool) *peerv1.CertifyRequest {
	self := m.link.GetSelf()
	request := &peerv1.CertifyRequest{
		Cluster: m.link.GetCluster(), RingId: m.link.GetRingId(),
		Certificate: &peerv1.Certificate{Name: self.GetName(), Id: self.GetId(), Incarnation: self.GetIncarnation(), Exit: exit, Clean: clean},
	}
	proofs := peerwire.Proofs{Trust: m.o.Trust, Cluster: request.GetCluster()}
	if err := proofs.SignCertificate(request.GetRingId(), request.GetCertificate()); err != nil {
		// Those who get it from here believe it all the same.
		m.o.Logger.Error("the death certificate is not signed, so nobody can pass it on", "error", err)
	}
	return request
}

// exitUnknown is all that a monitor knows of an end that its coordinator did not
// announce: the wait status goes to the process's parent, which it is not.
const exitUnknown = "gone; its monitor does not know why"

// takeLast takes the links that were queued before the coordinator ended: the
// last one may say that it left the ring.
func (m *monitor) takeLast() {
	if m.abandoned != mono.Never {
		return
	}
	timeout := time.NewTimer(durations.LastLink)
	defer timeout.Stop()
	for {
		select {
		case r := <-m.links:
			switch {
			case r.err != nil:
				return
			case m.own(r.link) && m.fresh(r.link):
				m.link = r.link
				m.certifier.update(m.ctx, r.link)
			}
		case <-timeout.C:
			return
		}
	}
}
