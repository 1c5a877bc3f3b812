package sim

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
)

// lane is one of several networks from a machine to another, with the stream over it.
// The daemon's own package decides what goes over which of them.
type lane struct {
	// dead and narrow count the faults that let nothing through, or only what is small.
	dead, narrow int
	// stuckAt is since when nothing is acknowledged on the stream, 0 if it is. A stream
	// that fell is opened again at standsAt.
	stuckAt, standsAt int64
	// down is what the sender's book says.
	down bool
	last int64 // when the newest message of an ordered lane arrives
}

// strayed is since when a lane leads elsewhere, long before the run.
const strayed = -int64(time.Hour)

// lanesOf makes the lanes of a link.
func (w *World) lanesOf() []lane {
	if w.Networks < 2 {
		return nil
	}
	lanes := make([]lane, w.Networks)
	if w.Strays {
		lanes[w.Networks-1] = lane{dead: 1, stuckAt: strayed}
	}
	return lanes
}

// way is a lane as its sender's paths see it.
type way struct {
	s        *Sim
	from, to int
	k        int
}

func (w way) lane() *lane { return &w.s.link(w.from, w.to).lanes[w.k] }

func (w way) Stands() bool {
	l := w.lane()
	return l.stuckAt == 0 && w.s.now >= l.standsAt || l.stuckAt != 0 && !l.fell(w.s.now)
}

func (w way) Down() bool { return w.lane().down }

func (w way) Delay() time.Duration {
	d := 2 * w.s.net.Base
	if l := w.lane(); l.stuckAt != 0 && w.s.now > l.stuckAt+int64(4*d) {
		d += durations.PeerAck
	}
	return d
}

// fell reports whether the kernel has given the stream up.
func (l *lane) fell(now int64) bool {
	return l.stuckAt != 0 && now-l.stuckAt >= int64(durations.PeerAck)
}

// works reports whether what is sent on a lane arrives, and is acknowledged.
func (s *Sim) works(from, to, k int) bool {
	there, back := s.link(from, to), s.link(to, from)
	return there.cut == 0 && back.cut == 0 && there.lanes[k].dead == 0 && back.lanes[k].dead == 0
}

// laneChanged follows a change of what gets through between two machines.
func (s *Sim) laneChanged(a, b int) {
	for k := range s.world.Networks {
		for _, p := range [][2]int{{a, b}, {b, a}} {
			switch l := &s.link(p[0], p[1]).lanes[k]; {
			case !s.works(a, b, k):
				if l.stuckAt == 0 {
					l.stuckAt = s.now
				}
			case l.stuckAt != 0:
				if l.fell(s.now) {
					l.standsAt = s.now + int64(s.between(s.nodes[p[0]].rnd, time.Millisecond, 300*time.Millisecond))
				}
				l.stuckAt = 0
			}
		}
	}
}

// ways are the lanes from one machine to another.
func (s *Sim) ways(from, to int) []way {
	all := make([]way, s.world.Networks)
	for k := range all {
		all[k] = way{s, from, to, k}
	}
	return all
}

// sizeOf is what counts of a message when its paths are chosen.
func sizeOf(m *election.Message) int {
	if m.Raft == nil {
		return 0
	}
	return proto.Size(m.Raft)
}

// parcel is a copy of a message that may be lost on a lane.
type parcel struct {
	event
	k int
}

// copies carries a coordinator's message over the lanes that its paths choose. It
// reports whether a copy is under way. The receiver takes one of them.
func (s *Sim) copies(from, to int, e event, loss, dup uint32) bool {
	l, n := s.link(from, to), s.nodes[from]
	n.transport.numbers++
	e.n, e.gen = n.transport.numbers, n.life
	size := sizeOf(e.p.(*election.Message))
	bad, timely, sent := l.bad, false, false
	for _, w := range paths.Choose(s.ways(from, to), size) {
		c, r := w.lane(), e
		passes := c.dead == 0 && (c.narrow == 0 || small(size))
		if !passes || c.stuckAt != 0 {
			s.waits(parcel{r, w.k}, size)
			sent = true
		}
		if !passes {
			continue
		}
		if l.odds() < loss {
			s.stats.counts[cLost]++
			continue
		}
		d := s.delay(l)
		timely, sent = timely || time.Duration(d) < badDelay, true
		r.at = s.now + d
		if s.net.Ordered {
			r.at = max(r.at, c.last+1)
		}
		c.last = max(c.last, r.at)
		s.q.push(r)
		if l.odds() < dup {
			s.stats.counts[cDoubled]++
			r.at += s.delay(l)
			s.q.push(r)
		}
	}
	if timely {
		l.bad = bad // the other copy does not matter
	}
	return sent
}

// waits lets a copy that is not acknowledged on a lane go over another one: a small one
// once the stream is given up, a large one as soon as it is seen to be stuck.
func (s *Sim) waits(p parcel, size int) {
	n := s.nodes[p.peer]
	at := s.now + int64(s.between(n.rnd, durations.PeerStall, 2*durations.PeerStall))
	if small(size) {
		at = max(s.now, s.link(n.idx, int(p.node)).lanes[p.k].stuckAt+int64(durations.PeerAck))
	}
	s.q.push(event{at: at, kind: evRescue, node: int16(n.idx), gen: n.life, p: &p})
}

// rescue sends it on another lane that stands, else again on its own.
func (s *Sim) rescue(n *node, e event) {
	p := e.p.(*parcel)
	if !n.up || e.gen != n.life {
		return
	}
	var others []way
	for _, w := range s.ways(n.idx, int(p.node)) {
		if w.Stands() && (w.k != p.k || w.lane().stuckAt == 0) && w.lane().dead == 0 {
			others = append(others, w)
		}
	}
	if len(others) == 0 || !s.open(n.idx, int(p.node)) {
		return
	}
	s.stats.count("net: messages rescued from a stuck path", 1)
	w := paths.Choose(others, limits.SmallMessage+1)[0]
	p.at = s.now + s.delay(s.link(n.idx, int(p.node)))
	w.lane().last = max(w.lane().last, p.at)
	s.q.push(p.event)
}

// anyNetwork is how late something is that goes over all networks: what no coordinator
// sends its peers on streams.
func (s *Sim) anyNetwork(l *link) int64 {
	d := int64(0)
	for i := range max(1, len(l.lanes)) {
		if len(l.lanes) > 0 && l.lanes[i].dead > 0 {
			continue
		}
		if c := s.delay(l); d == 0 || c < d {
			d = c
		}
	}
	return d
}
