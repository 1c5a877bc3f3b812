package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
)

// transport is what a coordinator's process knows of the paths to its peers, in a world
// of several networks.
type transport struct {
	// of is the process, by its node's life, from 1; 0 none.
	of      uint32
	numbers uint64
	book    paths.Book
	round   int
	taken   map[sender]*taken
	known   map[paths.Path]*pathTruth
}

// sender is a process that sends messages: a machine, and its life.
type sender struct {
	machine int16
	life    uint32
}

// taken are the messages of one process that were taken: as the daemon counts them, and
// as they were.
type taken struct {
	copies paths.Copies
	all    []uint64
}

// pathTruth is what the checks know of a path.
type pathTruth struct {
	// told: it was told as down, and that has no end yet.
	told bool
	// missedAt is when its check was last missed and another path's was not, 0 if that
	// was not since it was told as up. missed counts the passes in a row.
	missedAt int64
	missed   int
	// cleanAt is since when none was missed, 0 if the newest was. proved: that was for as
	// long as it has to be, since it was told as down.
	cleanAt int64
	proved  bool
	// unlisted counts the passes since nobody looks at it.
	unlisted int
}

// missesMost is how many passes a dead path, or its end, may go unmentioned, and
// missesMostMore the same when the card is told of already. upAgain is how long a path may be told as down on a quiet
// network.
const (
	missesMost     = 20
	missesMostMore = 140
	upAgain        = 5*durations.PathCheck + 2*durations.PathClean
)

// connect lets a process that becomes a member look at its paths.
func (s *Sim) connect(n *node) {
	if s.world.Networks < 2 || n.transport.of == n.life+1 {
		return
	}
	t := &n.transport
	t.of, t.taken, t.known = n.life+1, map[sender]*taken{}, map[paths.Path]*pathTruth{}
	s.q.push(event{at: s.now + int64(durations.PathCheck), kind: evPaths, node: int16(n.idx), gen: n.life})
}

// takes reports whether a message counts, which comes over several paths.
func (s *Sim) takes(n *node, e event) bool {
	if e.n == 0 || n.transport.of == 0 {
		return true
	}
	from := sender{e.peer, e.gen}
	t := n.transport.taken[from]
	if t == nil {
		t = &taken{}
		n.transport.taken[from] = t
	}
	if !t.copies.Take(e.n) {
		s.stats.count("net: second copies", 1)
		return false
	}
	word, bit := e.n/64, uint64(1)<<(e.n%64)
	for uint64(len(t.all)) <= word {
		t.all = append(t.all, 0)
	}
	if t.all[word]&bit != 0 {
		s.failAt(n, "paths", "takes message %d of %s for the second time", e.n, s.nodes[e.peer].name)
	}
	t.all[word] |= bit
	return true
}

// checkPaths sends a check over each path, judges them as the daemon does, and looks
// whether what it tells the operator is true.
func (s *Sim) checkPaths(n *node, e event) {
	t := &n.transport
	if !n.up || e.gen != n.life {
		return
	}
	checks := s.pathChecks(n)
	news, pause := t.book.Pass(n.clock.local(s.now), checks)
	t.round++
	for _, c := range checks {
		k := t.know(c.Path)
		vouched := slices.ContainsFunc(checks, func(o paths.Check) bool { return o.Peer.ID == c.Peer.ID && o.Outcome == paths.Good })
		switch {
		case c.Outcome == paths.Missed && vouched:
			k.missedAt, k.missed, k.cleanAt = s.now, k.missed+1, 0
			continue
		case c.Outcome == paths.Good && k.cleanAt == 0:
			k.cleanAt = s.now
		}
		k.missed = 0
		k.proved = k.proved || c.Outcome == paths.Good && s.now-k.cleanAt >= int64(durations.PathClean)*9/10
	}
	for _, w := range news {
		s.tracef(n, "paths over %s %v are %s: %v", w.Card, w.Networks, w.Word, w.Paths)
		for _, p := range w.Paths {
			s.pathTold(n, w.Word, p)
		}
	}
	for _, c := range checks {
		if o := s.machineOf(c.Peer.ID); c.On != (paths.Network{}) {
			s.link(n.idx, o).lanes[networkOf(c)].down = t.book.IsDown(c.Path)
		}
		s.pathMissed(n, c, checks)
	}
	s.pathsEnd(n, checks)
	s.q.push(event{at: s.now + int64(pause+durations.PathWritten+durations.PeerStall), kind: evPaths, node: int16(n.idx), gen: n.life})
}

// know returns what is known of a path.
func (t *transport) know(p paths.Path) *pathTruth {
	if t.known[p] == nil {
		t.known[p] = &pathTruth{}
	}
	return t.known[p]
}

// pathChecks are what becomes of the checks of all paths to the peers of a node.
func (s *Sim) pathChecks(n *node) (all []paths.Check) {
	if n.core == nil {
		return nil
	}
	for _, id := range n.peers {
		o := s.machineOf(id)
		if o < 0 || o == n.idx {
			continue
		}
		ways := s.ways(n.idx, o)
		reached := s.nodes[o].up && s.nodes[o].id == id && s.open(n.idx, o) && slices.ContainsFunc(ways, way.Stands)
		whole := paths.Whole(n.transport.round, ways)
		for k, w := range ways {
			c := paths.Check{Path: paths.Path{Peer: paths.Peer{ID: id, Name: s.nodes[o].name}, Address: fmt.Sprint(s.nodes[o].name, "/", k)}}
			strays := s.world.Strays && k == len(ways)-1
			if !strays {
				c.On = s.network(k)
			}
			switch {
			case !reached:
			case strays:
				c.Outcome = paths.Elsewhere
			case w.Stands() && s.checked(w, slices.Contains(whole, w)):
				c.Outcome = paths.Good
			default:
				c.Outcome = paths.Missed
			}
			all = append(all, c)
		}
	}
	return all
}

// network is a network as a machine knows it. Of three the first two have one card.
func (s *Sim) network(k int) paths.Network {
	card := k
	if s.world.Networks > 2 && !s.world.Strays {
		card = k / 2
	}
	return paths.Network{Card: fmt.Sprint("eth", card), Name: fmt.Sprintf("10.0.%d.0/24", k)}
}

func networkOf(c paths.Check) (k int) {
	_, _ = fmt.Sscanf(c.On.Name, "10.0.%d", &k)
	return k
}

// checked reports whether a check arrives, and its acknowledgement, in time.
func (s *Sim) checked(w way, whole bool) bool {
	there, back := s.link(w.from, w.to), s.link(w.to, w.from)
	lossOf := func(l *link) uint32 {
		if s.calm {
			return 0
		}
		return s.net.Loss + l.loss
	}
	return s.works(w.from, w.to, w.k) && s.nodes[w.to].power && (!whole || w.lane().narrow == 0) &&
		there.odds() >= lossOf(there) && back.odds() >= lossOf(back)
}

// pathTold checks that what is told of a path is news, and true.
func (s *Sim) pathTold(n *node, w paths.Word, p paths.Path) {
	k := n.transport.know(p)
	s.stats.count("paths: "+w.String(), 1)
	switch {
	case k.told == (w == paths.Down):
		s.failAt(n, "paths", "tells that the path %v is %v, which is no news", p, w)
	case w == paths.Down && k.missedAt == 0:
		s.failAt(n, "paths", "tells that the path %v is down, and no check was missed on it alone", p)
	case w == paths.Up && (!k.proved || k.missed > 1):
		s.failAt(n, "paths", "tells that the path %v is up, and a check was missed %v ago", p, time.Duration(s.now-k.missedAt))
	}
	if k.told = w == paths.Down; !k.told {
		k.missedAt = 0
	}
	k.missed, k.proved = 0, false
}

// pathMissed checks that a dead path is told of in time.
func (s *Sim) pathMissed(n *node, c paths.Check, checks []paths.Check) {
	bound := missesMost
	if slices.ContainsFunc(checks, func(o paths.Check) bool { return o.On.Card == c.On.Card && n.transport.know(o.Path).told }) {
		bound = missesMostMore
	}
	if k := n.transport.know(c.Path); k.missed > bound && !k.told {
		s.failAt(n, "paths", "does not tell that the path %v is down, of which the last %d checks were missed", c.Path, k.missed)
	}
}

// pathsEnd checks that what was told as down, and is not looked at any more, has an end.
func (s *Sim) pathsEnd(n *node, checks []paths.Check) {
	var open []string
	for p, k := range n.transport.known {
		if !k.told || slices.ContainsFunc(checks, func(c paths.Check) bool { return c.Path == p }) {
			k.unlisted = 0
		} else if k.unlisted++; k.unlisted > missesMost {
			open = append(open, p.Address)
		}
	}
	if slices.Sort(open); len(open) > 0 {
		s.failAt(n, "paths", "does not tell what became of the paths %v, which it told as down", open)
	}
}

// pathsQuiet checks at the end of a quiet time that no path is told as down. Of those to
// a peer that does not run nobody can say that they are up.
func (s *Sim) pathsQuiet() {
	if s.now-s.healedAt < int64(upAgain) {
		return
	}
	runs := func(n *node) bool { return n.up && n.core != nil && s.now-n.bad > int64(upAgain) }
	peerRuns := func(id uint64) bool {
		i := s.machineOf(id)
		return i >= 0 && s.nodes[i].id == id && runs(s.nodes[i])
	}
	for _, n := range s.nodes {
		var down []string
		for p, k := range n.transport.known {
			if k.told && runs(n) && n.transport.of == n.life+1 && peerRuns(p.Peer.ID) {
				down = append(down, p.Address)
			}
		}
		if slices.Sort(down); len(down) > 0 {
			s.failAt(n, "paths", "the paths %v are told as down %v after the faults", down, time.Duration(s.now-s.healedAt))
		}
	}
}

// small reports whether a message of this size goes over all paths.
func small(size int) bool { return size <= limits.SmallMessage }
