package loop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/wal"
	"github.com/arc-ring/arc/ring"
)

// fakeCore does what the test says and remembers what it was told.
type fakeCore struct {
	effects  []election.Effect
	calls    []string
	persists []uint64
	wake     election.Instant
	versions int
	term     uint64
	end      election.Instant
	// leaderEnd is until when there is proof of a leader, 0 for always.
	leaderEnd election.Instant
	lost      string
	missing   string
	state     *ring.State
	request   func(election.Request)
	tick      func(election.Instant)
}

var _ Core = (*fakeCore)(nil)

func (*fakeCore) Answered(election.Instant, election.Standing)        {}
func (*fakeCore) Standing(election.Instant, uint64) election.Standing { return election.Standing{} }

func (c *fakeCore) emit(e ...election.Effect) { c.effects = append(c.effects, e...) }
func (c *fakeCore) Receive(_ election.Instant, m election.Message) {
	c.calls = append(c.calls, "receive")
}
func (c *fakeCore) Report(election.Instant, ring.Opinion) { c.calls = append(c.calls, "report") }
func (c *fakeCore) MonitorRuns(_ election.Instant, runs bool) {
	c.calls = append(c.calls, fmt.Sprint("monitor runs: ", runs))
}
func (c *fakeCore) Certify(election.Instant, election.Certificate) {
	c.calls = append(c.calls, "certify")
}
func (c *fakeCore) Probed(election.Instant, election.ProbeResult) {
	c.calls = append(c.calls, "probed")
}
func (c *fakeCore) Pinged(election.Instant, election.Ping)          { c.calls = append(c.calls, "pinged") }
func (c *fakeCore) Readdress(election.Instant, []string)            {}
func (c *fakeCore) Unreachable(election.Instant, uint64)            { c.calls = append(c.calls, "unreachable") }
func (c *fakeCore) Persisted(_ election.Instant, seq uint64)        { c.persists = append(c.persists, seq) }
func (c *fakeCore) NextWake() election.Instant                      { return c.wake }
func (c *fakeCore) ClaimUntil() (term uint64, end election.Instant) { return c.term, c.end }
func (c *fakeCore) LeaderUntil() election.Instant {
	if c.leaderEnd != 0 {
		return c.leaderEnd
	}
	return election.Never
}
func (c *fakeCore) State() *ring.State { return c.state }
func (c *fakeCore) Status(election.Instant) election.Status {
	return election.Status{Leader: c.term, Declared: c.term != 0, Reason: "no leader known", Lost: c.lost, Missing: c.missing}
}
func (c *fakeCore) Progress() (map[uint64]uint64, uint64) {
	return map[uint64]uint64{1: 40, 2: 37}, 41
}
func (c *fakeCore) Request(_ election.Instant, r election.Request) { c.request(r) }
func (c *fakeCore) Effects() (e []election.Effect)                 { e, c.effects = c.effects, nil; return e }
func (c *fakeCore) Tick(now election.Instant) {
	if c.tick != nil {
		c.tick(now)
	}
}

// fakeStore remembers the batches; its Save waits for, and returns, what gate
// gives.
type fakeStore struct {
	mu      sync.Mutex
	batches []wal.Batch
	gate    chan error
}

func (s *fakeStore) Mark() error { return nil }

func (s *fakeStore) Save(b wal.Batch) error {
	s.mu.Lock()
	s.batches = append(s.batches, b)
	s.mu.Unlock()
	if s.gate != nil {
		return <-s.gate
	}
	return nil
}

// fakeAlarm rings by the runtime's clock, which stands still in a bubble while
// anything goes on.
type fakeAlarm struct {
	clock func() election.Instant
	c     chan struct{}
	timer *time.Timer
}

func (a *fakeAlarm) Fired() {}
func (a *fakeAlarm) At(moment election.Instant) {
	if a.timer != nil {
		a.timer.Stop()
	}
	if moment == election.Never {
		return
	}
	a.timer = time.AfterFunc(moment.Sub(a.clock()), func() {
		select {
		case a.c <- struct{}{}:
		default:
		}
	})
}

func testLoop(c *fakeCore, s Store) *Loop {
	began := time.Now()
	clock := func() election.Instant { return mono.Instant(time.Since(began) + time.Second) }
	if c.state == nil {
		c.state = &ring.State{RingID: "r", Members: []ring.Member{{ID: 1, Name: "n1"}}}
	}
	if c.wake == 0 {
		c.wake = election.Never
	}
	alarm := &fakeAlarm{clock: clock, c: make(chan struct{}, 1)}
	l := New(Options{Log: hclog.NewNullLogger(), Clock: clock, Alarm: alarm, AlarmC: alarm.c, Core: c, Store: s,
		Hub: publish.NewHub(clock, &publish.View{Ring: &ring.State{}}), Events: loopEvents(), ID: 1, RingID: "r"})
	l.o.CarryOut, l.o.Target, l.o.Published = func(election.Effect) {}, func() string { return "" }, func() {}
	return l
}

// Back in its ring, a node gets the log from its beginning. Its watchers know
// that already: they get nothing before the state has the node as a member, then
// one snapshot, then what is new.
func TestNothingIsToldTwiceAfterARejoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declared := func(term uint64, members ...uint64) election.Applied {
			s := &ring.State{RingID: "r", Epoch: 10 * term, Term: term}
			for _, id := range members {
				s.Members = append(s.Members, ring.Member{ID: id, Name: "n"})
			}
			l := ring.Leadership{Term: term, ID: 2, Name: "n2"}
			s.History = []ring.Leadership{l}
			return election.Applied{State: s, Changes: []ring.Change{{Kind: ring.LeaderDeclared, Member: ring.Member{ID: 2, Name: "n2"}, Leadership: &l}}}
		}
		snapshot := declared(3, 1, 2)
		snapshot.Changes = nil
		c := &fakeCore{state: &ring.State{}}
		l := testLoop(c, &fakeStore{})
		l.o.ID, l.catchingUp = 4, true
		w, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		l.Begin()
		go func() { _ = l.Run() }()
		for _, a := range []election.Applied{snapshot, declared(5, 1, 2), declared(7, 2, 3), declared(7, 2, 3, 4), declared(9, 2, 3, 4)} {
			_ = l.inbox.post(func(election.Instant) {
				c.state = a.State
				c.emit(a)
			})
			synctest.Wait() // a turn each
		}
		l.Stop()
		<-l.life.Done()
		l.o.Hub.Close()
		if got, want := heard(w), []string{"snapshot 7", "leader_declared 9"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// A restarted node applies what its disk holds. Who watches it from the start
// hears what that comes to, once; who comes when the state is there has seen it
// in the first snapshot.
func TestTheDiskIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := func(term uint64) *ring.State {
			return &ring.State{RingID: "r", Epoch: term, Term: term, Members: []ring.Member{{ID: 1, Name: "n1"}},
				History: []ring.Leadership{{Term: term, ID: 1, Name: "n1"}}}
		}
		c := &fakeCore{state: state(5)}
		for _, term := range []uint64{3, 5} {
			s := state(term)
			c.emit(election.Applied{State: s, Index: term, Changes: []ring.Change{{Kind: ring.LeaderDeclared, Member: s.Members[0], Leadership: &s.History[0]}}})
		}
		l := testLoop(c, &fakeStore{})
		changed := 0
		onEffect(l, func(election.Applied) { changed++ })
		first, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		l.Begin()
		second, v, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Ring.Term != 5 {
			t.Errorf("the first view has token %d, want 5", v.Ring.Term)
		}
		go func() { _ = l.Run() }()
		synctest.Wait()
		l.Stop()
		<-l.life.Done()
		l.o.Hub.Close()
		if got, want := heard(first), []string{"joined 5", "leader_declared 5"}; !slices.Equal(got, want) {
			t.Errorf("told from the start: %q, want %q", got, want)
		}
		if got := heard(second); len(got) > 0 {
			t.Errorf("told after the first snapshot: %q, want nothing", got)
		}
		if changed != 2 {
			t.Errorf("those who work by the ring's state were told %d times, want 2", changed)
		}
	})
}

// heard returns what waits for a watcher of a closed hub.
func heard(w *publish.Subscriber) (events []string) {
	for {
		e, err := w.Next(context.Background())
		if err != nil {
			return events
		}
		events = append(events, fmt.Sprintf("%s %d", client.EventType(e), e.GetTerm()))
	}
}

func TestTheClaimEndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLoop(&fakeCore{term: 1, end: mono.Instant(1500 * time.Millisecond)}, &fakeStore{}) // the clock begins at one second
		l.Begin()
		if _, _, _, _, ok := l.o.Hub.Claim(); ok {
			t.Error("it claims before the core ran")
		}
		go func() { _ = l.Run() }()
		synctest.Wait()
		if _, _, term, left, ok := l.o.Hub.Claim(); !ok || term != 1 || left != 500*time.Millisecond {
			t.Errorf("claim %d for %v, %v; want 1 for 500ms", term, left, ok)
		}
		testwait.Virtual(500 * time.Millisecond) // nobody tells the loop
		if _, _, _, _, ok := l.o.Hub.Claim(); ok {
			t.Error("it claims although its lease is over")
		}
		l.Stop()
		<-l.life.Done()
	})
}

// A client is told of a leader only while there is proof. That it ended is
// told once, and that it holds again by a snapshot, since no token is declared
// twice.
func TestTheLeaderIsToldWhileThereIsProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{term: 1, leaderEnd: mono.Instant(1500 * time.Millisecond)} // the clock begins at one second
		c.state = &ring.State{RingID: "r", Epoch: 1, Term: 1, Members: []ring.Member{{ID: 1, Name: "n1"}}}
		l := testLoop(c, &fakeStore{})
		w, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		l.Begin()
		go func() { _ = l.Run() }()
		turn := func() { _ = l.inbox.post(func(election.Instant) {}); synctest.Wait() }
		turn()
		if _, m, ok := l.o.Hub.Leader(); !ok || m.Name != "n1" {
			t.Errorf("with proof it says that %q leads", m.Name)
		}
		testwait.Virtual(500 * time.Millisecond) // nobody tells the loop
		if _, m, ok := l.o.Hub.Leader(); ok {
			t.Errorf("without proof it says that %q leads", m.Name)
		}
		turn()
		turn()
		c.leaderEnd = 0
		turn()
		turn()
		l.Stop()
		<-l.life.Done()
		l.o.Hub.Close()
		if got, want := heard(w), []string{"joined 1", "leader_lost 1", "snapshot 1"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

func TestASlowDiskHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{}
		s := &fakeStore{gate: make(chan error)}
		l := testLoop(c, s)
		var sent int
		onEffect(l, func(election.Send) { sent++ })
		go func() { _ = l.Run() }()
		_ = l.inbox.post(func(election.Instant) {
			c.emit(election.Persist{Seq: 1, Sync: true}, election.Send{})
		})
		synctest.Wait()
		_ = l.inbox.post(func(election.Instant) {
			c.emit(election.Persist{Seq: 2, Sync: true}, election.Persist{Seq: 3}, election.Send{})
		})
		synctest.Wait()
		if sent != 2 || len(c.persists) != 0 {
			t.Errorf("while the disk is at it: %d sent, persisted %v; want 2, none", sent, c.persists)
		}
		s.gate <- nil
		synctest.Wait()
		if !slices.Equal(c.persists, []uint64{1}) {
			t.Errorf("persisted %v, want 1", c.persists)
		}
		s.gate <- nil
		s.gate <- nil
		synctest.Wait()
		if !slices.Equal(c.persists, []uint64{1, 2, 3}) {
			t.Errorf("persisted %v, want 1 2 3", c.persists)
		}
		// What queued up is synced once, at its end.
		if got := []bool{s.batches[0].Sync, s.batches[1].Sync, s.batches[2].Sync}; !slices.Equal(got, []bool{true, false, true}) {
			t.Errorf("synced %v, want the first, and the last of the group", got)
		}
		l.Stop()
		<-l.life.Done()
	})
}

func TestAFailedDiskEndsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{request: func(election.Request) {}}
		s := &fakeStore{gate: make(chan error, 1)}
		l := testLoop(c, s)
		ended := make(chan error, 1)
		go func() { ended <- l.Run() }()
		full := errors.New("disk full")
		s.gate <- full
		_ = l.inbox.post(func(election.Instant) {
			for i := range uint64(3 * persistsQueued) { // more than the queue takes
				c.emit(election.Persist{Seq: i, Sync: true})
			}
		})
		if err := <-ended; !errors.Is(err, reason.ErrStorage) || !errors.Is(err, full) {
			t.Errorf("run returned %v, want ErrStorage and the cause", err)
		}
		if len(c.persists) != 0 {
			t.Errorf("persisted %v, want none", c.persists)
		}
		if _, err := l.Request(context.Background(), election.Request{}); !errors.Is(err, reason.ErrStopping) {
			t.Errorf("a request afterwards: %v, want ErrStopping", err)
		}
	})
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refs []uint64
		c := &fakeCore{request: func(r election.Request) { refs = append(refs, r.Ref) }}
		l := testLoop(c, &fakeStore{})
		run := make(chan error, 1)
		go func() { run <- l.Run() }()
		type result struct {
			d   election.Done
			err error
		}
		ask := func(ctx context.Context) chan result {
			out := make(chan result, 1)
			go func() {
				d, err := l.Request(ctx, election.Request{})
				out <- result{d, err}
			}()
			synctest.Wait()
			return out
		}
		ctx, cancel := context.WithCancel(context.Background())
		first, second, third := ask(ctx), ask(context.Background()), ask(context.Background())
		if slices.Contains(refs, 0) || refs[0] == refs[1] || refs[1] == refs[2] {
			t.Fatalf("refs %v, want different ones", refs)
		}
		cancel()
		if r := <-first; !errors.Is(r.err, context.Canceled) {
			t.Errorf("cancelled: %v", r.err)
		}
		synctest.Wait()
		if len(l.waiting) != 2 {
			t.Errorf("%d wait, want 2", len(l.waiting))
		}
		_ = l.inbox.post(func(election.Instant) {
			c.emit(election.Done{Ref: refs[0]}, election.Done{Ref: refs[1], ID: 7, Err: ring.ErrStale})
		})
		if r := <-second; !errors.Is(r.err, ring.ErrStale) || r.d.ID != 7 {
			t.Errorf("answered with %v, %v", r.d, r.err)
		}
		_ = l.inbox.post(func(election.Instant) { c.emit(election.Removed{Epoch: 9, Why: "test"}) })
		if r := <-third; !errors.Is(r.err, election.ErrRemoved) {
			t.Errorf("when this node was removed: %v", r.err)
		}
		if err := <-run; !errors.Is(err, election.ErrRemoved) {
			t.Errorf("run returned %v, want ErrRemoved", err)
		}
	})
}

// The loop sleeps until the core's next wake, and not a moment less.
func TestTheTimerFollowsTheCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ticks []election.Instant
		c := &fakeCore{wake: mono.Instant(1500 * time.Millisecond)}
		c.tick = func(now election.Instant) {
			ticks = append(ticks, now)
			c.wake = now.Add(250 * time.Millisecond)
			if len(ticks) == 3 {
				c.wake = election.Never
			}
		}
		l := testLoop(c, &fakeStore{})
		go func() { _ = l.Run() }()
		testwait.Virtual(time.Hour)
		l.Stop()
		<-l.life.Done()
		want := []election.Instant{mono.Instant(1500 * time.Millisecond), mono.Instant(1750 * time.Millisecond), mono.Instant(2000 * time.Millisecond)}
		if !slices.Equal(ticks, want) {
			t.Errorf("ticks at %v, want %v", ticks, want)
		}
	})
}

// The core knows when this node's monitor watches nobody, so the leader does, and a
// watcher of events too.
func TestTheCoreKnowsThatTheMonitorIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{}
		l := testLoop(c, &fakeStore{})
		w, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = l.Run() }()
		for _, missing := range []string{"cannot be started: no such file", ""} {
			l.MonitorChanged(missing)
			synctest.Wait()
		}
		l.Stop()
		<-l.life.Done()
		l.o.Hub.Close()
		if want := []string{"monitor runs: false", "monitor runs: true"}; !slices.Equal(c.calls, want) {
			t.Errorf("the core is told %q, want %q", c.calls, want)
		}
		if got, want := heard(w), []string{"monitor_lost 0", "monitor_back 0"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// While a turn lasts, the loop can be seen to be stuck.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLoop(&fakeCore{}, &fakeStore{})
		go func() { _ = l.Run() }()
		_ = l.inbox.post(func(election.Instant) { <-time.After(3 * time.Second) })
		testwait.Virtual(time.Second)
		if got := l.Stuck(); got != time.Second {
			t.Errorf("stuck for %v, want 1s", got)
		}
		testwait.Virtual(3 * time.Second)
		if got := l.Stuck(); got != 0 {
			t.Errorf("afterwards stuck for %v, want 0", got)
		}
		l.Stop()
		<-l.life.Done()
	})
}

func loopEvents() publish.Events {
	return publish.Events{Name: "n1", Wall: func() time.Time { return time.UnixMicro(1_700_000_000_000_000) }, MonitorMissing: func() string { return "" }}
}
