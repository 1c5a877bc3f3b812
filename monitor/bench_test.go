package monitor

import (
	"context"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// BenchmarkProbe is one probe of a leader, from the tick to the pong that the
// detector has judged, over TCP to a server that does nothing else.
func BenchmarkProbe(b *testing.B) {
	n := newNode(b, 2, "n2")
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{LocalSocket: "none", Logger: hclog.NewNullLogger()}
	dialer := &connect.Dialer{Own: func() []string { return nil }, Local: &hostaddr.Table{}}
	m := &monitor{o: o, ctx: ctx, local: newLocal(&o), certifier: newCertifier(&o, dialer), dialer: dialer, watch: detector.NewWatch(1),
		neighbours: map[uint64]*neighbour{}, events: make(chan event, 256)}
	defer func() {
		cancel()
		m.certifier.close()
		m.attempts.Wait()
	}()
	link := &localv1.Link{Epoch: 1, Term: 5, RingId: "ring", Cluster: "c", Self: &localv1.Target{Id: 1, Name: "n1", Incarnation: 9},
		Successors: []*localv1.Target{n.target()}, Leader: 2, LeaderIntervalMs: 2, LeaderMisses: 3, IntervalMs: 50, Misses: 4, GrantUs: 7000}
	n.term.Store(5)
	m.relink(monotime.Now(), link)
	handle := func() {
		for {
			e := <-m.events
			before := e.attempt.answered
			m.handle(monotime.Now(), e)
			if e.attempt.over {
				b.Fatal("the stream broke")
			}
			if e.attempt.answered > before {
				return
			}
		}
	}
	handle() // the answer to the ping that is sent as soon as the stream is up
	b.ReportAllocs()
	for b.Loop() {
		at := m.watch.NextTick()
		m.carryOut(at, m.watch.Tick(at))
		handle()
	}
}
