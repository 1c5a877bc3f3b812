package monitor

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

func (h *home) notify() { h.doorbell <- syscall.SIGUSR1 }

// suspicions drains the reports up to now.
func (h *home) suspicions() (list []*peerv1.Opinion) {
	for {
		select {
		case r := <-h.reports:
			if s := r.GetOpinion(); evidenceOf(s) != "" {
				list = append(list, s)
			}
		default:
			return list
		}
	}
}

func (h *home) noSuspicion() {
	h.t.Helper()
	for _, s := range h.suspicions() {
		h.t.Errorf("suspected: %v", s)
	}
}

func TestItRegistersAndProbesItsSuccessor(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	r := h.await("registration", func(r *localv1.MonitorRequest) bool { return r.GetRegistration() != nil }).GetRegistration()
	if r.Pid != int64(syscall.Getpid()) || r.Incarnation != 99 {
		t.Errorf("registered %v", r)
	}
	h.link(nil, b)
	h.awaitLink(b, "dialled")
	h.awaitLink(b, "up")
	testwait.Until(t, patience, "probes go on", func() bool { return b.pings.Load() > 5 })
}

func TestASilentSuccessorIsSuspectedAndTheNextIsLookedAt(t *testing.T) {
	h, b, c, d := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3"), newNode(t, 4, "n4")
	c.mute.Store(true)
	h.start()
	h.link(nil, b, c, d)
	h.awaitLink(b, "up")
	b.term.Store(8)
	before := b.pings.Load()
	testwait.Until(t, patience, "answers of term 8", func() bool { return b.pings.Load() > before+2 })
	b.mute.Store(true)
	h.await("silence in term 8", func(r *localv1.MonitorRequest) bool {
		s := r.GetOpinion()
		return s.GetId() == 2 && evidenceOf(s) == "silent" && s.Incarnation == 22 && s.Term == 8 && s.By == 1
	})
	// It is repeated while it lasts; the next is suspected too, and the one
	// after it answers.
	h.awaitSuspicion(b, "silent")
	h.awaitSuspicion(c, "silent")
	h.awaitSuspicion(c, "silent")
	testwait.Until(t, patience, "the third is looked at", func() bool { return d.pings.Load() > 0 })
	b.mute.Store(false)
	h.await("cleared", func(r *localv1.MonitorRequest) bool {
		return r.GetOpinion().GetClear() != nil && r.GetOpinion().GetId() == 2
	})
}

func TestACrashIsReportedAtOnceAsRefused(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.start()
	h.link(slow, b, c)
	h.awaitLink(b, "up")
	b.host.Stop()
	// With probes 20 s apart only the break and the refusal can tell.
	h.awaitSuspicion(b, "refused")
	// The next is looked at from the break on.
	testwait.Until(t, patience, "a probe of the next", func() bool { return c.pings.Load() > 0 })
	c.host.Stop()
	h.awaitSuspicion(c, "refused")
}

func TestAnEndingProcessThatStillListensForAMoment(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(slow, b)
	h.awaitLink(b, "up")
	b.host.Slam(3)
	b.host.Break()
	h.awaitSuspicion(b, "refused")
}

func TestABrokenStreamThatCanBeHadAgainIsNoSuspicion(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(slow, b)
	h.awaitLink(b, "up")
	testwait.Until(t, patience, "an answered probe", func() bool { return b.pings.Load() >= 1 })
	b.host.Break()
	h.awaitLink(b, "redialled")
	testwait.Until(t, patience, "a second stream and a probe on it", func() bool { return b.streams.Load() >= 2 && b.pings.Load() >= 2 })
	h.noSuspicion()
}

func TestAnotherIncarnationAnswers(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	b.incarnation.Store(777)
	if s := h.awaitSuspicion(b, "reset"); s.Incarnation != 22 {
		t.Errorf("suspected incarnation %d, want the old one, 22", s.Incarnation)
	}
	// The ring learns of the new one.
	h.link(func(l *localv1.Link) { l.Successors[0].Incarnation = 777 }, b)
	h.awaitLink(b, "up")
}

func TestOnePathIsEnough(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	gone := newNode(t, 9, "n9")
	gone.host.Stop()
	h.start()
	h.link(func(l *localv1.Link) {
		slow(l)
		l.Successors[0].Addresses = []string{gone.addr, b.addr}
	}, b)
	h.awaitLink(b, "up")
	testwait.Until(t, patience, "an answered probe", func() bool { return b.pings.Load() >= 1 })
	h.noSuspicion()
	b.host.Stop()
	h.awaitSuspicion(b, "refused")
}

func TestCertificate(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.start()
	h.link(nil, b, c)
	h.awaitLink(b, "up")
	h.killCoordinator()
	for _, n := range []*node{b, c} {
		select {
		case r := <-n.certs:
			want := &peerv1.Certificate{Name: "n1", Id: 1, Incarnation: 99, Exit: "gone; its monitor does not know why"}
			if got := r.Certificate; r.RingId != "ring" || r.Cluster != "c" || got.String() != want.String() {
				t.Errorf("%s was told %v, want %v of ring ring, cluster c", n.name, r, want)
			}
		case <-time.After(patience):
			t.Fatalf("%s was not told", n.name)
		}
	}
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
}

func TestACertificateSaysWhatTheCoordinatorSaidOfItsEnd(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.link(func(l *localv1.Link) { l.Ending, l.Clean = "exited in order", true }, b)
	h.killCoordinator()
	select {
	case r := <-b.certs:
		if c := r.GetCertificate(); c.GetExit() != "exited in order" || !c.GetClean() {
			t.Errorf("certified %v", c)
		}
	case <-time.After(patience):
		t.Fatal("not certified")
	}
}

// A coordinator whose disk fails ends its incarnation, and its process goes on. Others
// must not wait for that one to end.
func TestAnIncarnationThatIsOverIsCertifiedWhileItsProcessLives(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.link(func(l *localv1.Link) { l.Ending, l.Over = "halted: a disk", true }, b)
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	select {
	case r := <-b.certs:
		if c := r.GetCertificate(); c.GetExit() != "halted: a disk" || c.GetClean() || c.GetIncarnation() != 99 {
			t.Errorf("certified %v", c)
		}
	default:
		t.Error("not certified")
	}
}

func TestCertificateEvenIfTheCoordinatorDiedFirst(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.link(nil, b)
	h.killCoordinator()
	h.sender.Close()
	h.start()
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if len(b.certs) != 1 {
		t.Errorf("%d certificates, want 1", len(b.certs))
	}
}

func TestCertificateIsTriedAgain(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.options.CertifyFor = patience
	h.start()
	h.link(slow, b, c)
	h.awaitLink(b, "up")
	c.host.Stop()
	h.killCoordinator()
	<-b.certs
	select {
	case <-h.ended:
		t.Fatal("it did not wait for the third")
	default:
	}
	c.listen(c.addr)
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if len(c.certs) == 0 {
		t.Error("the one that came late was not told")
	}
}

func TestCertifyingIsBounded(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.options.CertifyFor = 50 * time.Millisecond
	h.start()
	h.link(slow, b)
	h.awaitLink(b, "up")
	b.host.Stop()
	h.killCoordinator()
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
}

func TestNothingIsCertifiedAboutWhoLeft(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	if err := h.sender.Send(&localv1.Link{}); err != nil {
		t.Fatal(err)
	}
	h.killCoordinator()
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if len(b.certs) != 0 {
		t.Errorf("certified: %v", <-b.certs)
	}
}

func TestToldToStopItCertifiesNothing(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.cancel()
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if len(b.certs) != 0 {
		t.Errorf("certified: %v", <-b.certs)
	}
}

func TestAbandonedByALivingCoordinator(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.sender.Close()
	if err := h.awaitEnd(); !errors.Is(err, ErrAbandoned) {
		t.Errorf("Run returns %v, want %v", err, ErrAbandoned)
	}
	if len(b.certs) != 0 {
		t.Errorf("certified: %v", <-b.certs)
	}
}

func TestAHungCoordinatorIsKilledAndCertified(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(func(l *localv1.Link) { slow(l); l.HangAfterMs = 200 }, b)
	h.awaitLink(b, "up")
	// It answers for longer than that first.
	select {
	case <-h.ended:
		t.Fatal("killed although it answers")
	case <-time.After(500 * time.Millisecond):
	}
	h.deaf.Store(true)
	// The child stays a zombie until it is waited for, as under any parent.
	h.process.Wait()
	select {
	case r := <-b.certs:
		if got := r.Certificate.Exit; len(got) < 20 || got[:20] != "killed by its monitor: it hung for"[:20] {
			t.Errorf("exit %q, want that its monitor killed it", got)
		}
	case <-time.After(patience):
		t.Fatal("not certified")
	}
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
}

func TestTheStreamToTheCoordinatorIsOpenedAgain(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.local.Stop()
	b.mute.Store(true)
	h.serveLocal()
	h.await("registration", func(r *localv1.MonitorRequest) bool { return r.GetRegistration() != nil })
	h.awaitSuspicion(b, "silent")
}

// TestSignalOrigin tests how late a signal or a link may be.
func TestTheCoordinatorsDoorbell(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.options.signals = signalOrigin{grace: patience, belongs: patience}
	h.start()
	h.link(slow, b, c)
	h.notify()
	testwait.Until(t, patience, "a stream", func() bool { return b.streams.Load() == 1 })
	testwait.Until(t, patience, "its signal was heard", func() bool { return len(h.doorbell) == 0 })

	// A new target, and the signal that belongs to it.
	h.link(slow, c, b)
	h.notify()
	h.awaitLink(c, "up")
	testwait.Until(t, patience, "its signal was heard", func() bool { return len(h.doorbell) == 0 })

	// The same link with a wish for a fresh dial.
	h.link(func(l *localv1.Link) { slow(l); l.Redial = true }, c, b)
	h.awaitLink(c, "redialled")
	testwait.Until(t, patience, "a second stream", func() bool { return c.streams.Load() == 2 })
	h.noSuspicion()
	if got := b.streams.Load(); got != 1 {
		t.Errorf("%d streams to the first target, want 1", got)
	}
}

func TestAnOperatorsSignal(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.options.signals = signalOrigin{grace: time.Millisecond, belongs: time.Nanosecond}
	h.start()
	h.notify() // there is nobody to dial yet
	testwait.Until(t, patience, "the first signal was heard", func() bool { return len(h.doorbell) == 0 })
	h.link(slow, b, c)
	testwait.Until(t, patience, "a stream", func() bool { return b.streams.Load() == 1 })
	for i := range int64(3) {
		h.notify()
		h.awaitLink(b, "redialled")
		testwait.Until(t, patience, "another stream", func() bool { return b.streams.Load() == i+2 })
	}
	h.noSuspicion()
}

func TestARelinkKeepsWhatNeedsNoChange(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.start()
	h.link(slow, b)
	h.awaitLink(b, "up")
	// New timing, a new leader, a new member to tell: the stream stays.
	h.link(func(l *localv1.Link) { l.Leader, l.LeaderIntervalMs = 2, 10 }, b, c)
	before := b.pings.Load()
	testwait.Until(t, patience, "the new timing", func() bool { return b.pings.Load() > before+5 })
	if got := b.streams.Load(); got != 1 {
		t.Errorf("%d streams, want the old one", got)
	}
	// An older epoch is ignored.
	h.epoch -= 2
	h.link(nil, c)
	before = b.pings.Load()
	testwait.Until(t, patience, "the old target is probed on", func() bool { return b.pings.Load() > before+5 })
	if got := c.streams.Load(); got != 0 {
		t.Errorf("%d streams to the target of an old link", got)
	}
	// But another ring starts its epochs again.
	h.epoch = 0
	h.link(func(l *localv1.Link) { l.RingId = "another" }, c)
	h.awaitLink(c, "up")
}

func TestALinkOfAnotherIncarnationIsRefused(t *testing.T) {
	h, b, c := newHome(t), newNode(t, 2, "n2"), newNode(t, 3, "n3")
	h.start()
	h.link(nil, b)
	h.awaitLink(b, "up")
	h.link(func(l *localv1.Link) { l.Self.Incarnation = 100 }, c)
	h.killCoordinator()
	if err := h.awaitEnd(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if len(b.certs) != 1 || (<-b.certs).Certificate.Incarnation != 99 || len(c.certs) != 0 {
		t.Error("the certificate is not about the coordinator that died")
	}
}

// A monitor logs what its coordinator does; a level that it does not know, or
// none, changes nothing.
func TestTheLogLevelIsTheCoordinators(t *testing.T) {
	h := newHome(t)
	h.levels = []string{"warn", "", "loud"}
	h.start()
	testwait.Until(t, patience, "it logs at level warn", func() bool { return h.options.Logger.GetLevel() == hclog.Warn })
	b := newNode(t, 2, "n2")
	h.link(slow, b)
	h.awaitLink(b, "up") // the rest was received by now, or makes no difference
	if got := h.options.Logger.GetLevel(); got != hclog.Warn {
		t.Errorf("the level is %v, want warn", got)
	}
}

func TestBadOptions(t *testing.T) {
	err := Run(t.Context(), Options{})
	if !errors.Is(err, ErrOptions) {
		t.Errorf("Run returns %v, want %v", err, ErrOptions)
	}
	for _, what := range []string{"no queue", "no local socket", "0 is no pid", "no logger", "no doorbell"} {
		if !strings.Contains(err.Error(), what) {
			t.Errorf("Run returns %v, want that it says %q", err, what)
		}
	}
}

// However many answers of neighbours wait for the loop, a coordinator that answers is
// not killed.
func TestABeatDoesNotWaitForOtherEvents(t *testing.T) {
	l := newLocal(&Options{})
	m := &monitor{
		o: Options{Logger: hclog.NewNullLogger()}, watch: detector.NewWatch(1), local: l, process: &process{},
		abandoned: mono.Never, events: make(chan event, 1),
	}
	m.events <- event{}
	var now mono.Instant = 1
	m.hang.Configure(now, time.Second, durations.Beat)
	tick := func() {
		now = now.Add(durations.Beat)
		if err := m.tick(now); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 * time.Second / durations.Beat {
		tick()
		for len(l.out) > 0 {
			l.beat.Store((<-l.out).GetBeat())
		}
	}
	if m.killed != "" {
		t.Fatalf("%s, although it answers", m.killed)
	}
	for range 2 * time.Second / durations.Beat {
		tick()
	}
	if m.killed == "" {
		t.Error("it is not killed although it answers no more")
	}
}

func TestReportsAreBoundedAndTheNewestStay(t *testing.T) {
	l := newLocal(&Options{})
	for i := range uint64(1000) {
		l.report(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Beat{Beat: i}})
	}
	var kept []uint64
	for len(l.out) > 0 {
		kept = append(kept, (<-l.out).GetBeat())
	}
	if len(kept) != reportsKept || kept[len(kept)-1] != 999 || !slices.IsSorted(kept) {
		t.Errorf("kept %v", kept)
	}
}
