package monitor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/ring"
)

// take takes what the queue's reader found.
func (m *monitor) take(now mono.Instant, r received) error {
	switch {
	case errors.Is(r.err, io.EOF):
		m.o.Logger.Debug("the queue ended")
		m.abandoned = now.Add(durations.QueueEnd)
		return nil
	case r.err != nil:
		return r.err
	}
	// Even an old link explains the doorbell that comes with it.
	m.signals.linked(now)
	m.stir(now)
	if m.own(r.link) && m.fresh(r.link) {
		m.relink(now, r.link)
	}
	return nil
}

// over reports whether the coordinator said that its incarnation is over. It claims
// nothing any more and answers nobody, as if its process had ended.
func (m *monitor) over() bool { return m.link.GetOver() }

// own reports whether a link is of the coordinator that this monitor watches. A
// certificate about another would be a lie that voids promises.
func (m *monitor) own(l *localv1.Link) bool {
	if l.GetSelf().GetId() == 0 || l.GetSelf().GetIncarnation() == m.o.Incarnation {
		return true
	}
	m.o.Logger.Error("a link was refused: it is of another incarnation of the coordinator", "epoch", l.GetEpoch(),
		"from", l.GetSelf().GetIncarnation(), "to", m.o.Incarnation)
	return false
}

// fresh reports whether a link is newer than what the monitor has. Epochs of two
// rings, and of before and after a leave, are not compared.
func (m *monitor) fresh(l *localv1.Link) bool {
	old := m.link // nil is the oldest
	sameRing := l.GetSelf().GetId() != 0 && old.GetSelf().GetId() != 0 && l.GetRingId() == old.GetRingId()
	if l.GetSeq() <= old.GetSeq() || sameRing && l.GetEpoch() < old.GetEpoch() {
		m.o.Logger.Debug("an old link was ignored", "epoch", l.GetEpoch(), "seq", l.GetSeq())
		return false
	}
	return true
}

func (m *monitor) relink(now mono.Instant, l *localv1.Link) {
	old := m.link
	m.link = l
	own := l.GetSelf().GetAddresses()
	m.selfAt.Store(&own)
	m.hang.Configure(now, time.Duration(l.GetHangAfterMs())*time.Millisecond,
		cmp.Or(time.Duration(l.GetBeatMs())*time.Millisecond, durations.Beat))
	if l.GetSelf().GetId() != 0 {
		m.hang.Started()
	}
	m.certifier.update(m.ctx, l)
	if l.GetSelf().GetId() != 0 && l.GetLeader() == l.GetSelf().GetId() {
		m.certificate(exitUnknown, false) // signed now: its signature is kept
	}
	from := m.watch.Front()
	if old.GetRingId() != l.GetRingId() {
		// Nothing that was known in another ring holds in this one.
		m.carryOut(now, m.watch.Relink(now, detector.Link{}))
		m.watch = detector.NewWatch(rand.Uint64())
	}
	m.carryOut(now, m.watch.Relink(now, toWatch(l)))
	to := m.watch.Front()
	unchanged := from.ID == to.ID && from.Incarnation == to.Incarnation && slices.Equal(from.Addresses, to.Addresses)
	if l.GetRedial() && unchanged && to.ID != 0 {
		m.dialAfresh(now, "arc relink")
		return
	}
	if !unchanged {
		why := "the ring changed"
		switch {
		case old == nil:
			why = "first link"
		case l.GetDetour() != nil:
			why = fmt.Sprintf("arc relink, for %v", time.Duration(l.GetDetourMs())*time.Millisecond)
		case l.GetSelf().GetId() == 0:
			why = "told to watch nobody"
		case from.ID == to.ID && from.Incarnation != to.Incarnation:
			why = "it came back in a new incarnation"
		case from.ID == to.ID:
			why = "its addresses changed"
		}
		m.logRelinked(from.Name, to.Name, why)
		return
	}
	m.o.Logger.Debug("link taken", "epoch", l.GetEpoch(), "term", l.GetTerm(), "seq", l.GetSeq(), "to", to.Name)
}

// dialAfresh drops the streams to the front member and dials it again.
func (m *monitor) dialAfresh(now mono.Instant, why string) {
	front := m.watch.Front()
	n := m.neighbours[front.ID]
	if n == nil {
		m.o.Logger.Info("nobody to dial afresh", "reason", why)
		return
	}
	n.drop()
	m.watch.Excuse(front.ID)
	for _, p := range n.paths {
		p.known = ring.Path{}
		p.conn.Restart(now)
		m.act(now, n, p)
	}
	m.linkState(front, localv1.LinkState_STATE_REDIALLED, why)
	m.logRelinked(front.Name, front.Name, why)
}

func (m *monitor) logRelinked(from, to, why string) {
	m.o.Logger.Info("relinked", "from", cmp.Or(from, "nobody"), "to", cmp.Or(to, "nobody"), "epoch", m.link.GetEpoch(), "reason", why)
}

func toWatch(l *localv1.Link) detector.Link {
	w := detector.Link{
		Epoch: l.GetEpoch(), Term: l.GetTerm(), Leader: l.GetLeader(), Targets: ring.Each(l.GetSuccessors(), toTarget),
		LeaderTiming:   timing(l.GetLeaderIntervalMs(), l.GetLeaderMisses()),
		OrdinaryTiming: timing(l.GetIntervalMs(), l.GetMisses()),
		GrantLength:    time.Duration(min(l.GetGrantUs(), longestGrantUS)) * time.Microsecond,
	}
	if d := l.GetDetour(); d != nil {
		t := toTarget(d)
		w.Detour, w.DetourFor = &t, time.Duration(l.GetDetourMs())*time.Millisecond
	}
	return w
}

func toTarget(t *localv1.Target) detector.Target {
	return detector.Target{ID: t.GetId(), Incarnation: t.GetIncarnation(), Name: t.GetName(), Addresses: t.GetAddresses()}
}

// watchTick lets the watch do what is due. When a detour is over by that, the
// coordinator is told.
func (m *monitor) watchTick(now mono.Instant) {
	from := m.watch.Detour()
	for id, n := range m.neighbours {
		if m.watch.Due(now, id) && n.unsentOrUnread() {
			m.watch.Excuse(id)
		}
	}
	m.carryOut(now, m.watch.Tick(now))
	if from.ID == 0 || m.watch.Detour().ID != 0 {
		return
	}
	to := m.watch.Front()
	m.logRelinked(from.Name, to.Name, "the time of arc relink is over")
	m.linkState(to, localv1.LinkState_STATE_RETURNED, "from "+from.Name)
}

// longestGrantUS bounds what a link may ask for; settings never come near it.
const longestGrantUS = 3_600_000_000

func timing(intervalMS, misses uint32) detector.Config {
	return detector.Config{Interval: time.Duration(intervalMS) * time.Millisecond, Misses: int(misses)}
}
