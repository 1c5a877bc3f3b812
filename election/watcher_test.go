package election_test

import (
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/monitor/detector"
	"github.com/arc-ring/arc/ring"
)

// watch starts a monitor of a node, which probes the leader with grants, until
// the node ends.
func (w *world) watch(by string) {
	w.watchers++
	m := &watcher{w: w, nd: w.nodes[by], n: w.nodes[by].n, Watch: detector.NewWatch(w.watchers << 32)}
	m.tick()
}

type watcher struct {
	w  *world
	nd *node
	n  *election.Node
	*detector.Watch
	epoch, term uint64
	told        string
}

func (m *watcher) tick() {
	if m.nd.n != m.n || !m.nd.up {
		return
	}
	st := m.n.State()
	if l, ok := st.Leader(); ok && (st.Epoch != m.epoch || st.Term != m.term) {
		m.epoch, m.term = st.Epoch, st.Term
		interval, misses := st.Settings.Link(true)
		c := detector.Config{Interval: interval, Misses: misses}
		m.do(m.Relink(election.Instant(m.w.now), detector.Link{
			Epoch: st.Epoch, Term: st.Term, Leader: l.ID, LeaderTiming: c, OrdinaryTiming: c, GrantLength: st.Settings.GrantLength(),
			Targets: []detector.Target{{ID: l.ID, Incarnation: l.Incarnation, Name: l.Name}},
		}))
	}
	m.do(m.Tick(election.Instant(m.w.now)))
	next := m.NextTick()
	if next == election.Never {
		next = election.Instant(m.w.now.Add(time.Millisecond))
	}
	m.w.after(time.Duration(max(next.Add(time.Duration(-m.w.now)), 0)), m.tick)
}

func (m *watcher) do(actions []detector.Action) {
	w := m.w
	for _, a := range actions {
		switch a.Kind {
		case detector.Ping:
			w.after(w.delay, func() {
				to := w.byID(a.Target.ID)
				if to == nil || w.cut[[2]string{m.nd.name, to.name}] {
					return
				}
				w.to(to, func(now election.Instant) {
					to.n.Pinged(now, election.Ping{From: m.nd.id, Seq: a.Seq, Grant: a.Grant, Length: a.Length, Ack: a.Ack, At: now})
					term := to.n.State().Term
					w.after(w.delay, func() {
						if !w.cut[[2]string{to.name, m.nd.name}] {
							m.do(m.Pong(w.now, a.Target.ID, a.Seq, term))
						}
					})
				})
			})
		case detector.Say:
			if g := a.Opinion.Grant(); g != 0 && (!a.Repeat || m.told != "testimony") {
				m.told = "testimony"
				w.logf("%s's monitor: %s; its grant has ended", m.nd.name, a.Reason)
			}
			if a.Opinion.Word != (ring.Clear{}) {
				w.to(m.nd, func(now election.Instant) { m.n.Report(now, a.Opinion) })
			}
		}
	}
}
