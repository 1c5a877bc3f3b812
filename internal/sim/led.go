package sim

import (
	"slices"
	"strings"
	"time"
)

// G6 while faults last. A machine is a hub if it can exchange messages with a
// majority of the voters, and could lead. As long as the same machine is a hub,
// with the same others, there must be a claim again within the failover bound,
// whatever else is broken meanwhile.

// ledEvery is how often the check looks.
const ledEvery = 20 * time.Millisecond

// pollLed makes the check, and looks again later.
func (s *Sim) pollLed() {
	s.q.push(event{at: s.now + int64(ledEvery), kind: evLed})
	since, claimed := s.unledSince()
	if claimed {
		s.checkCommits()
		return
	}
	s.noteBehind()
	bound := int64(s.ledBound())
	for _, h := range s.nodes {
		from := max(since, s.hubSince(h))
		// A fault that strikes meanwhile may undo what has been achieved.
		quiet := max(from, s.disturbedAt)
		if d := s.now - quiet; d > 0 && d <= bound {
			s.stats.LedShare = max(s.stats.LedShare, float64(d)/float64(bound))
		}
		if s.now-quiet > bound || s.now-from > stormy*bound {
			s.failAt(h, "G6", "it has reached a majority of %v %v since %.6f s, and nobody has claimed for %v, %v of that undisturbed: more than %v", s.ledger.voters, s.ledger.outgoing,
				time.Duration(s.hubSince(h)).Seconds(), time.Duration(s.now-from).Round(time.Microsecond), time.Duration(s.now-quiet).Round(time.Microsecond), time.Duration(bound))
			return
		}
	}
}

// stormy is how many failover bounds may pass while faults go on to strike: one
// that a fault undoes, one that the next fault undoes, and one to come about.
const stormy = 3

// checkCommits demands of a leader that claims and can exchange messages with a majority
// that it commits what it has in its log: a claim alone lets nobody join, leave or be
// taken out of the ring.
func (s *Sim) checkCommits() {
	g, bound := &s.ledger, int64(s.ledBound())
	for _, h := range s.nodes {
		if h.claimTerm == 0 || h.claimEnd <= s.now || h.log.last() <= g.last() || h.committed < g.last() {
			h.committed, h.committedAt = g.last(), s.now
			continue
		}
		quiet := max(h.committedAt, h.claimFrom, s.reachesSince(h), s.disturbedAt)
		s.stats.CommitShare = max(s.stats.CommitShare, float64(s.now-quiet)/float64(bound))
		if s.now-quiet > bound {
			s.failAt(h, "G6", "it claims with token %d and has reached a majority of %v %v since %.6f s, and nothing after entry %d was committed for %v, its log ends at %d", h.claimTerm, g.voters, g.outgoing,
				time.Duration(s.reachesSince(h)).Seconds(), g.last(), time.Duration(s.now-quiet).Round(time.Microsecond), h.log.last())
			return
		}
	}
}

// noteBehind notes who cannot win yet: a log that lacks what is committed, or a
// member that has not applied the newest configuration. It notes too who need not
// be counted yet.
func (s *Sim) noteBehind() {
	g := &s.ledger
	for _, n := range s.nodes {
		if n.core == nil || n.log.last() < g.last() || n.log.lastTerm() < g.lastTerm() || !slices.Equal(n.core.Status(n.clock.local(s.now)).Voters, g.voters) {
			n.behindAt = s.now
		}
		if s.unproven(n) {
			n.unprovenAt = s.now
		}
		for _, o := range s.nodes {
			if n != o && s.refuses(n, o) {
				s.refusedAt[[2]int{n.idx, o.idx}] = s.now
			}
		}
	}
}

// unledSince is since when nobody claims, or that somebody does.
func (s *Sim) unledSince() (since int64, claimed bool) {
	for _, n := range s.nodes {
		if n.claimTerm == 0 {
			continue
		}
		if n.claimEnd > s.now {
			return 0, true
		}
		s.ledUntil = max(s.ledUntil, n.claimEnd)
	}
	return s.ledUntil, false
}

// ledBound is the longest failover that the settings allow, and what this
// world's network and disks add to it at the most.
func (s *Sim) ledBound() time.Duration {
	st, lease := s.boundSettings()
	st.LeaseMS = uint32(max(st.Lease(), lease) / time.Millisecond) // #nosec G115 -- a lease
	a := st.Assume()
	a.RoundTrip = max(a.RoundTrip, 2*(s.net.Base+s.net.Jitter))
	if s.net.Ordered && s.net.TailOdds > 0 && st.Lease() < 2*s.net.Tail {
		// A stream that delivers in order holds up what follows a late message, and
		// so short a lease sends so often that something always does.
		a.RoundTrip = max(a.RoundTrip, 2*s.net.Tail)
	}
	bound := st.FailoverBound(a) + 2*s.net.Tail + 100*time.Millisecond
	if slices.ContainsFunc(s.links, func(l *link) bool { return l != nil && l.cut > 0 }) {
		// Where links are missing, several can win a pre-vote and split the votes.
		// They draw lots for who is next, in steps of a stagger.
		bound += time.Duration(len(s.ledger.voters)) * st.Stagger()
	}
	if s.net.Loss > 0 || s.net.Dup > 0 {
		// A lost vote, declaration or renewal is repeated, and a stream stands
		// still until what it lost was sent again. Where one message in seventeen is
		// lost, two elections in a row may fail for that, and where it is twice as
		// many, three.
		bound += time.Duration(1+s.net.Loss/3840) * (st.Lease() + retransmission)
	}
	return bound
}

// hubSince is since when a machine has been a hub that could win, the present if it is
// none.
func (s *Sim) hubSince(h *node) int64 {
	return max(s.reachesSince(h), h.behindAt, h.log.grewAt)
}

// reachesSince is since when a machine may lead and can exchange messages with a
// majority, the present if it cannot.
func (s *Sim) reachesSince(h *node) int64 {
	g := &s.ledger
	m, member := g.Member(h.id)
	if !member || m.Witness || h.core == nil || !slices.Contains(g.voters, h.id) {
		return s.now
	}
	since := max(s.ableSince(h), g.confAt, g.settingsAt())
	// What is committed last it may not know yet, and then it counts by what was before.
	mine, outgoing := g.confAfter(h.checked)
	for _, voters := range [][]uint64{g.voters, g.outgoing, mine, outgoing} {
		if len(voters) == 0 {
			continue
		}
		var buf [24]int64
		reach := buf[:0]
		for _, id := range voters {
			reach = append(reach, s.pairSince(h, id))
		}
		slices.Sort(reach)
		since = max(since, reach[len(voters)/2]) // so many and all earlier ones are a majority
	}
	return since
}

// pairSince is since when a machine and a voter can exchange messages, and the
// voter can vote.
func (s *Sim) pairSince(h *node, id uint64) int64 {
	i := s.machineOf(id)
	if i < 0 {
		return s.now
	}
	v := s.nodes[i]
	if v == h {
		return s.ableSince(h)
	}
	out, in := s.link(h.idx, v.idx), s.link(v.idx, h.idx)
	if v.id != id || out.disturbed() || in.disturbed() || v.log.newer(&h.log) || s.unproven(h) || s.unproven(v) || s.refuses(h, v) || s.refuses(v, h) {
		return s.now
	}
	since := max(s.ableSince(v), out.goodAt, in.goodAt, h.unprovenAt, v.unprovenAt, s.refusedAt[[2]int{h.idx, v.idx}], s.refusedAt[[2]int{v.idx, h.idx}])
	if s.knowsFormer(h, v) || s.knowsFormer(v, h) {
		since += int64(max(asksAround, s.ledger.settings.Lease()))
	}
	return since
}

// asksAround is how often a member asks the others which process of a member the
// ring has recorded, while one speaks that it does not count.
const asksAround = 500 * time.Millisecond

// knowsFormer reports whether a member knows only a former process of another one,
// and an address of that one leads elsewhere. The log of the new process may say that
// the ring has recorded it, but does not count, so the member has to ask.
func (s *Sim) knowsFormer(n, other *node) bool {
	if n.core == nil {
		return false
	}
	m, ok := n.core.State().Member(other.id)
	return ok && m.Incarnation != other.inc && s.elsewhere(other, m.Addresses)
}

// elsewhere reports whether one of these addresses does not lead to a machine.
func (s *Sim) elsewhere(n *node, addresses []string) bool {
	return slices.ContainsFunc(addresses, func(a string) bool { return s.leads(n, a) != n.idx })
}

// unproven reports whether a process is none that the ring has recorded, and an
// address of the recorded one, or of the one that some member knows, does not lead to
// it: a member that knew that one need not count this one.
func (s *Sim) unproven(n *node) bool {
	m, ok := s.ledger.Member(n.id)
	if !ok {
		m, ok = s.ledger.gone[n.id] // raft may still count it
	}
	return ok && m.Incarnation != n.inc && (s.elsewhere(n, strings.Fields(s.ledger.addrs[m.ID])) ||
		slices.ContainsFunc(s.nodes, func(o *node) bool { return o != n && s.knowsFormer(o, n) }))
}

// ableSince is since when a process has run as it should, as the member that it is; a restarted
// voter takes no part for as long as its promises may last.
func (s *Sim) ableSince(n *node) int64 {
	if n.core == nil || n.paused || !n.up {
		return s.now
	}
	_, lease := s.boundSettings()
	return max(n.lastBad(s.now), n.bornAt, n.startedAt+int64(lease)+int64(lease)/50)
}

// newer reports whether a log wins against another one.
func (l *logView) newer(o *logView) bool {
	return l.lastTerm() > o.lastTerm() || l.lastTerm() == o.lastTerm() && l.last() > o.last()
}

// disturbed reports whether a fault is at work on the link.
func (l *link) disturbed() bool { return l.cut > 0 || l.delay > 0 || l.loss > 0 || l.dup > 0 }
