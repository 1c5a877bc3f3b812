package discovery

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// arrival is what is known of a datagram beside its content: where it came from, how
// long it was without its seal, and what time of day it was here.
type arrival struct {
	from netip.AddrPort
	size int
	wall time.Time
}

// senders remembers what came of each process, so that a sealed datagram that
// somebody recorded says nothing when he sends it again.
type senders struct {
	// began is when this process did.
	began     time.Time
	byProcess map[process]*sender
	// forgotten is the newest hello of those that there was no room to remember.
	forgotten time.Time
}

type process struct {
	name        string
	incarnation uint64
}

type sender struct {
	// hello and answer are the numbers of the newest ones; ways are where that hello
	// came from.
	hello, answer uint64
	ways          []netip.AddrPort
	// newest is when that hello left, by the sender's clock. since is from when on its
	// hellos count, by the same clock; zero until it has answered this process.
	newest, since time.Time
	last          time.Time // heard
}

// verdict is what a hello is good for.
type verdict int

const (
	// dropped: it is good for nothing.
	dropped verdict = iota
	// answered: it may be older than this process. Its sender may have an answer, which
	// goes to where the hello left from.
	answered
	// believed: it counts.
	believed
)

// remembered is for how long a silent process is: by then none of its hellos is in
// the window any more, whichever of the two clocks is ahead.
const remembered = 2 * durations.ClockSlack

func newSenders(now time.Time) *senders {
	return &senders{began: now, byProcess: map[process]*sender{}}
}

// since is from when on hellos of an unknown process count, by this node's clock: an
// older one may have been heard by this node's former process.
func (s *senders) since(now, wall time.Time) time.Time {
	since := wall.Add(-now.Sub(s.began) - durations.HelloLate)
	if since.Before(s.forgotten) {
		return s.forgotten
	}
	return since
}

// hello takes in a hello that left from where it came from, at most ClockSlack ago.
// It has to be newer than all of its process so far, or a copy that took another way.
func (s *senders) hello(now time.Time, at arrival, node *discoveryv1.Node, st *discoveryv1.Stamp) verdict {
	p, sent := s.of(now, node), time.UnixMicro(st.SentAt)
	switch {
	case st.Number > p.hello:
		p.hello, p.newest, p.ways = st.Number, sent, p.ways[:0]
	case st.Number < p.hello || len(p.ways) >= limits.Addresses || slices.Contains(p.ways, at.from):
		return dropped
	}
	p.ways, p.last = append(p.ways, at.from), now
	since := p.since
	if since.IsZero() {
		since = s.since(now, at.wall)
	}
	if sent.Before(since) {
		return answered
	}
	return believed
}

// answered takes in an answer to a hello of this process. All that its sender says
// from now on is newer than that hello.
func (s *senders) answered(now time.Time, node *discoveryv1.Node, st *discoveryv1.Stamp) bool {
	p := s.of(now, node)
	if st.Number <= p.answer {
		return false
	}
	p.answer, p.last, p.since = st.Number, now, time.UnixMicro(st.SentAt).Add(-durations.HelloLate)
	return true
}

// of returns what is known of the process.
func (s *senders) of(now time.Time, node *discoveryv1.Node) *sender {
	key := process{node.Name, node.Incarnation}
	old := func(_ process, p *sender) bool { return now.Sub(p.last) > remembered }
	p := s.byProcess[key]
	if p != nil && !old(key, p) {
		return p
	}
	if !room(s.byProcess, key, limits.Processes, old) {
		s.forgetOldest()
	}
	p = &sender{last: now}
	s.byProcess[key] = p
	return p
}

// forgetOldest makes room. A hello of the process that is forgotten could be taken
// twice, so none that is as old is believed any more.
func (s *senders) forgetOldest() {
	oldest := slices.MinFunc(slices.Collect(maps.Keys(s.byProcess)), func(a, b process) int {
		return cmp.Or(s.byProcess[a].last.Compare(s.byProcess[b].last), cmp.Compare(a.name, b.name), cmp.Compare(a.incarnation, b.incarnation))
	})
	if newest := s.byProcess[oldest].newest; newest.After(s.forgotten) {
		s.forgotten = newest
	}
	delete(s.byProcess, oldest)
}

// leaves notes in a stamp when and whence a datagram leaves, at this moment of a
// process that began at the given one. An answer has no source.
func leaves(st *discoveryv1.Stamp, now, wall, began time.Time, source netip.AddrPort) {
	st.SentAt = wall.UnixMicro()
	if source.IsValid() {
		st.Source = sourceBytes(source)
		st.Since = wall.Add(-now.Sub(began) - durations.HelloLate).UnixMicro()
	}
}

// sourceBytes is an address and port in a stamp. Zones are the business of each host.
func sourceBytes(source netip.AddrPort) []byte {
	b, _ := netip.AddrPortFrom(source.Addr().WithZone(""), source.Port()).MarshalBinary() // never fails
	return b
}

// judge decides what a sealed hello is good for.
func (c *core) judge(now time.Time, at arrival, h *discoveryv1.Hello) verdict {
	if !c.inWindow(now, at, h.Node, h.Stamp) {
		return dropped
	}
	if !slices.Equal(h.Stamp.Source, sourceBytes(at.from)) {
		var left netip.AddrPort
		_ = left.UnmarshalBinary(h.Stamp.Source) // was checked when it was decoded
		if l := c.strays.hear(now, h.Node.Name, fmt.Sprintf("a hello of %s came from %s, and left from %s", h.Node.Name, at.from, left)); l != hclog.NoLevel {
			c.log(l, "a hello did not come from where it left", "peer", h.Node.Name, "from", at.from, "left-from", left,
				"hint", "somebody sends it again, or addresses are translated on the way: name a member with --join HOST:PORT")
		}
		return dropped
	}
	return c.senders.hello(now, at, h.Node, h.Stamp)
}

// inWindow reports whether sender and receiver agree on the time of day. If they do not,
// the datagram may be a recorded one.
func (c *core) inWindow(now time.Time, at arrival, node *discoveryv1.Node, st *discoveryv1.Stamp) bool {
	ahead := time.UnixMicro(st.SentAt).Sub(at.wall)
	if ahead.Abs() <= durations.ClockSlack {
		return true
	}
	by := ahead.Abs().Round(time.Second).String() + " ahead of"
	if ahead < 0 {
		by = ahead.Abs().Round(time.Second).String() + " behind"
	}
	if l := c.clocks.hear(now, node.Name, fmt.Sprintf("the clock of %s is %s this node's, set both", node.Name, by)); l != hclog.NoLevel {
		c.log(l, "the clock of another node differs too much, its hellos do not count", "peer", node.Name, "from", at.from,
			"difference", by+" this node's", "most", durations.ClockSlack,
			"hint", "set the clocks of both, or go without hellos by --no-autodiscovery --join HOST:PORT")
	}
	return false
}

// stranger takes in that a datagram from the host was not read.
func (c *core) stranger(now time.Time, host netip.Addr, why *stranger) {
	if l := c.strangers.hear(now, host, fmt.Sprintf("a hello from %s was not read: %s", host, why.reason)); l != hclog.NoLevel {
		c.log(l, "a hello was not read", "from", host, "reason", why.reason, "hint", why.hint)
	}
}

// complaints are who is not listened to, and why.
type complaints[K comparable] map[K]complaint

type complaint struct {
	what         string
	last, logged time.Time
}

// hear returns how loudly the complaint is to be logged: at Warn when it begins, and
// from then on once a while at Debug. NoLevel says not at all.
func (t complaints[K]) hear(now time.Time, key K, what string) hclog.Level {
	over := func(_ K, c complaint) bool { return now.Sub(c.last) > durations.UnreadAgain }
	if !room(t, key, limits.Unread, over) {
		return hclog.NoLevel
	}
	c, known := t[key]
	level := hclog.NoLevel
	switch {
	case !known || over(key, c):
		level = hclog.Warn
	case now.Sub(c.logged) >= durations.UnreadAgain:
		level = hclog.Debug
	}
	c.what, c.last = what, now
	if level != hclog.NoLevel {
		c.logged = now
	}
	t[key] = c
	return level
}

// list are those of the last moments, sorted.
func (t complaints[K]) list(now time.Time) (all []string) {
	for _, c := range t {
		if now.Sub(c.last) <= durations.RingPresent {
			all = append(all, c.what)
		}
	}
	slices.Sort(all)
	return all
}

// unread says for people whose hellos do not count here.
func (c *core) unread(now time.Time) (all []string) {
	return slices.Concat(c.strangers.list(now), c.clocks.list(now), c.strays.list(now))
}
