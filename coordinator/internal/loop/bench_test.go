package loop

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/peerwire"
	"github.com/arc-ring/arc/ring"
)

// loops are members whose event loops the benchmark turns by hand, in its own
// time. What they send goes through the wire's encoding.
type loops struct {
	b   testing.TB
	now election.Instant
	all []*Loop
}

func newLoops(b testing.TB, profile string, members int) *loops {
	s, err := ring.ProfileSettings(profile)
	if err != nil {
		b.Fatal(err)
	}
	r := &loops{b: b, now: mono.Instant(time.Second)}
	founded, err := election.Found(ring.Found{Cluster: "c", RingID: "r", Settings: s, Founder: ring.Member{Name: "n1", Incarnation: 1, Addresses: []string{"n1:7400"}}}, 1_000_000_000)
	if err != nil {
		b.Fatal(err)
	}
	r.add(1, founded)
	leads := func() bool { _, end := r.all[0].o.Core.ClaimUntil(); return r.now < end }
	r.until("that the founder leads", leads)
	for id := uint64(2); id <= uint64(members); id++ {
		done := make(chan election.Done, 1)
		l := r.all[0]
		ref := l.refs.Add(1)
		l.waiting[ref] = done
		l.o.Core.Request(r.now, election.Request{Ref: ref, Join: &ring.Join{Member: ring.Member{Name: fmt.Sprintf("n%d", id), Incarnation: id, Addresses: []string{"a:1"}}}})
		l.settle(r.now)
		r.until("a join", func() bool { return len(done) == 1 })
		if d := <-done; d.Err != nil || d.ID != id {
			b.Fatalf("join: %+v", d)
		}
		r.add(id, election.Recovered{})
	}
	r.until("that all vote", func() bool {
		st := r.all[len(r.all)-1].o.Core.Status(r.now)
		return len(st.Voters) == members && st.Declared && st.Settled && leads()
	})
	return r
}

func (r *loops) add(id uint64, rec election.Recovered) {
	clock := func() election.Instant { return r.now }
	core, err := election.New(election.Config{ID: id, Incarnation: id, Addresses: []string{"a:1"},
		Rand: rand.New(rand.NewPCG(1, id)).Uint64, Wall: func() int64 { return r.now.SinceOrigin().Microseconds() }}, rec, r.now)
	if err != nil {
		r.b.Fatal(err)
	}
	l := New(Options{Log: hclog.NewNullLogger(), Clock: clock, Alarm: silent{}, Core: core, Store: &fakeStore{},
		Hub: publish.NewHub(clock, &publish.View{Ring: &ring.State{}}), Events: loopEvents(), ID: id, RingID: "r",
		CarryOut: func(e election.Effect) {
			send, ok := e.(election.Send)
			if !ok {
				return
			}
			m := send.Message
			m.From = id
			if env, err := peerwire.Encode(m); err != nil {
				r.b.Error(err)
			} else if m, err := peerwire.Decode(env, m.From, m.To); err != nil {
				r.b.Error(err)
			} else if int(m.To) <= len(r.all) {
				m.Incarnation = id
				r.all[m.To-1].Deliver(m)
			}
		},
		Target: func() string { return "" }, Published: func() {}})
	l.writer.start()
	r.b.Cleanup(l.writer.stop)
	r.all = append(r.all, l)
	l.settle(r.now)
}

// silent is an alarm that nobody waits for.
type silent struct{}

func (silent) At(election.Instant) {}
func (silent) Fired()              {}

func (r *loops) turn() {
	for _, l := range r.all {
		l.turn()
	}
}

func (r *loops) until(what string, ok func() bool) {
	r.b.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); r.now = r.now.Add(time.Millisecond) {
		if time.Now().After(end) {
			r.b.Fatalf("never: %s", what)
		}
		r.turn()
		runtime.Gosched() // the writers have goroutines of their own
	}
}

// BenchmarkRenewal is one renewal of a leader to four voters with its four
// acks: event loops, core and encoding, without the streams.
func BenchmarkRenewal(b *testing.B) {
	r := newLoops(b, "realtime", 5)
	every := r.all[0].o.Core.State().Settings.RenewEvery()
	b.ReportAllocs()
	for b.Loop() {
		r.now = r.now.Add(every)
		r.turn()        // the leader sends, the voters ack
		r.all[0].turn() // and it counts
	}
	if _, end := r.all[0].o.Core.ClaimUntil(); r.now >= end {
		b.Error("the claim was lost")
	}
}

// BenchmarkGrant is one ping of the watcher with its grant, in the leader's
// event loop. After every hundred the ring renews.
func BenchmarkGrant(b *testing.B) {
	r := newLoops(b, "realtime", 5)
	l := r.all[0]
	seq, length := uint64(0), l.o.Core.State().Settings.GrantLength()
	b.ReportAllocs()
	for b.Loop() {
		seq++
		r.now = r.now.Add(100 * time.Microsecond)
		l.Pinged(election.Ping{From: 5, Seq: seq, Ack: seq - 1, Grant: 7, Length: length, At: r.now})
		l.turn()
		if seq%100 == 0 { // the lease lives on
			r.turn()
			l.turn()
		}
	}
	if _, end := l.o.Core.ClaimUntil(); r.now >= end {
		b.Error("the claim was lost")
	}
}

// The benchmarks' ring does what it is meant to, also where no benchmark runs.
func TestBenchmarkLoopsRenew(t *testing.T) {
	r := newLoops(t, "realtime", 3)
	st := r.all[0].o.Core.Status(r.now)
	if !slices.Equal(st.Voters, []uint64{1, 2, 3}) {
		t.Errorf("voters %v", st.Voters)
	}
}
