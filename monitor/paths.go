package monitor

import (
	"slices"

	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/monitor/detector"
	"github.com/arc-ring/arc/ring"
)

// judge tells the watch what all paths together say against the neighbour. An
// address that is being dialled has said nothing yet, unless it led elsewhere the
// last time.
func (m *monitor) judge(now mono.Instant, n *neighbour) {
	paths := make([]ring.Path, len(n.paths))
	for i, p := range n.paths {
		paths[i] = p.known
		if p.known.Outcome == ring.PathRefused && len(p.attempts) > 0 {
			paths[i].Outcome = ring.PathOpen
		}
	}
	switch found := n.wanted.Look(paths); {
	case found.Refused:
		m.carryOut(now, m.watch.Refused(now, n.target.ID))
	case found.Ended():
		m.carryOut(now, m.watch.Foreign(now, n.target.ID))
	}
}

// move takes the new addresses of a target over: paths that go on leading
// there keep their streams.
func (m *monitor) move(now mono.Instant, t detector.Target) {
	n := m.neighbours[t.ID]
	if n == nil {
		return
	}
	n.target = t
	n.paths = slices.DeleteFunc(n.paths, func(p *path) bool {
		if slices.Contains(t.Addresses, p.addr) {
			return false
		}
		p.dropAll()
		return true
	})
	m.dialAll(now, n)
}

// heardOf takes over what a pong tells that earlier ones told already.
func (a *attempt) heardOf(by ring.Answer) {
	if by.RingID == "" && by.ID != 0 {
		by.RingID = a.by.RingID
	}
	if by.Name == "" {
		by.Name, by.Cluster = a.by.Name, a.by.Cluster
	}
	a.by = by
}

// leave gives up an address that does not lead to the neighbour; it is tried
// again now and then, since addresses move.
func (m *monitor) leave(now mono.Instant, a *attempt, known ring.Path) {
	n, p := a.neighbour, a.path
	switch {
	case p.known == known:
	case known.Outcome == ring.PathOwn:
		m.o.Logger.Debug("an address of the peer leads back to this node", "peer", n.target.Name, "address", p.addr)
	default:
		m.o.Logger.Info("an address of the peer leads to somebody else", "peer", n.target.Name, "address", p.addr,
			"reached", a.by.Name, "cluster", a.by.Cluster, "ring", a.by.RingID)
	}
	p.known = known
	p.drop(a)
	p.conn.Lost(now, a.try, policy.Rejected)
	m.judge(now, n)
}

// networkChanged has the loop dial what waits. Notices that come before it does are
// one.
func (m *monitor) networkChanged() {
	if m.noticed.CompareAndSwap(false, true) {
		m.post(nil, m.dialDown)
	}
}

// dialDown dials at once what waits for its next dial: with the network the
// reason why it failed may be gone. At most once a second, since hosts that
// start containers change all the time.
func (m *monitor) dialDown(now mono.Instant) {
	m.noticed.Store(false)
	if m.dialledDown != 0 && now < m.dialledDown.Add(durations.ProbeRedialLongest) {
		return // what fails now is dialled again within a second anyway
	}
	m.dialledDown = now
	for _, n := range m.neighbours {
		for _, p := range n.paths {
			if len(p.attempts) == 0 {
				p.conn.Fresh(now)
				m.act(now, n, p)
			}
		}
	}
}
