package sim

import (
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/ring"
)

// A twin is a machine that runs from a copy of another one's data directory,
// while that one runs too. The operator of the simulator stops a twin before any
// other process starts from its disk or ends: a voter that was restarted, and
// cannot reach the original, has no means to know which of both it should believe.
// Newcomers join while it runs.

// imagesKept is how many older images of a disk may be put back.
const imagesKept = 4

// copy returns an image that shares nothing that either will change.
func (im *image) copy() image {
	c := *im
	c.ents = append([]*raftpb.Entry(nil), im.ents...)
	c.former = slices.Clone(im.former)
	return c
}

// keepImage keeps the disk of a process that starts, to put it back later.
func (n *node) keepImage() {
	if im := &n.disk.durable; im.id != 0 && !n.restored {
		n.past = append(n.past, im.copy())
		n.past = n.past[max(0, len(n.past)-imagesKept):]
	}
}

// copyDisk strikes with a copy of n's disk.
func (s *Sim) copyDisk(f *Fault, n *node) {
	if f.Kind == CloneDisk {
		s.cloneDisk(f, n)
	} else {
		s.restoreDisk(f, n)
	}
}

// cloneDisk starts a machine that stands by from a copy of n's disk.
func (s *Sim) cloneDisk(f *Fault, n *node) {
	i := slices.IndexFunc(s.nodes, func(o *node) bool { return o.spare && o.power })
	m, recorded := s.ledger.Member(n.id)
	im := &n.disk.durable
	if i < 0 || n.core == nil || n.paused || im.id != n.id || im.empty() || !recorded || m.Incarnation != n.inc || !s.heardByAll(n) || !s.judged(im, 2) {
		s.stats.count("clone: not possible now", 1)
		return
	}
	o := s.nodes[i]
	s.stats.count("clone: started", 1)
	o.spare, o.disk.durable, o.joinAs = false, im.copy(), n.asName()
	s.startTwin(o, n)
	s.until(f, func() { s.stopTwin(o) })
}

// judged reports whether others have to agree to what a process does from an
// image: by the configuration that it holds, and by the present one. A process
// that needs nobody's vote asks nobody. One older disk at a time is enough for a
// majority to know better.
func (s *Sim) judged(im *image, voters int) bool {
	g := &s.ledger
	mine, outgoing := g.confAfter(im.hs.GetCommit())
	old := slices.ContainsFunc(s.nodes, func(o *node) bool { return o.restored || o.twinOf != 0 })
	return len(mine) >= voters && slices.Equal(mine, g.voters) && len(outgoing) == 0 && len(g.outgoing) == 0 && !old
}

func (s *Sim) startTwin(o, n *node) {
	s.start(o)
	if o.up {
		o.twinOf = n.idx + 1
		s.twins[o.inc] = n.id
	}
}

// heardByAll reports whether every running process heard the present process of
// n in its life.
func (s *Sim) heardByAll(n *node) bool {
	return !slices.ContainsFunc(s.nodes, func(o *node) bool {
		return o != n && o.up && !o.heardSince(n.id, max(o.startedAt, n.startedAt))
	})
}

// recordedByAll reports whether the disk of each other voter has that the ring
// recorded the present process of n. Who does not know that cannot refuse an
// older one, and could elect it with its vote.
func (s *Sim) recordedByAll(n *node) bool {
	return !slices.ContainsFunc(s.ledger.voters, func(id uint64) bool {
		i := s.machineOf(id)
		if id == n.id || i < 0 {
			return i < 0
		}
		o := s.nodes[i]
		if o.core == nil || o.id != id {
			return true
		}
		m, ok := o.core.State().Member(n.id)
		im := &o.disk.durable
		return !ok || m.Incarnation != n.inc || im.first+uint64(len(im.ents)) <= o.core.Status(o.clock.local(s.now)).Applied
	})
}

// stopTwins ends the twins of a machine, or (nil) of all.
func (s *Sim) stopTwins(of *node) {
	for _, o := range s.nodes {
		if o.twinOf != 0 && (of == nil || o.twinOf == of.idx+1) {
			s.stopTwin(o)
		}
	}
}

// stopTwin ends a twin, unless the ring has recorded it: then it is the member.
func (s *Sim) stopTwin(o *node) {
	if o.twinOf == 0 {
		return
	}
	o.twinOf = 0
	if m, ok := s.ledger.Member(o.id); o.up && ok && m.Incarnation == o.inc {
		s.stats.count("clone: became the member", 1)
		return
	}
	s.retireMachine(o, "the operator stops the clone")
}

// retireMachine ends a process for good. Its machine stands by, without a disk,
// and would join under a name that nobody has.
func (s *Sim) retireMachine(n *node, why string) {
	s.exit(n, why)
	n.disk.wipe()
	n.past = nil
	n.spare, n.twinOf, n.restored = true, 0, false
	s.retired++
	n.joinAs = fmt.Sprintf("%s.%d", n.name, s.retired)
}

// asName is the name under which a machine joins.
func (n *node) asName() string {
	if n.joinAs != "" {
		return n.joinAs
	}
	return n.name
}

// sharesName reports whether a machine runs from a copy, and its original is there.
// Only one of both can join.
func (s *Sim) sharesName(n *node) bool {
	return n.joinAs != "" && slices.ContainsFunc(s.nodes, func(o *node) bool { return o != n && o.asName() == n.joinAs })
}

// refuses reports whether a process's log gives the place of another one to a third, as
// far as is known there not committed. It need not count that one: if the entry is
// committed, the third may have acknowledged more, even if it has ended. The voters of
// a pair know better.
func (s *Sim) refuses(n, o *node) bool {
	id, ents, known := o.disk.durable.id, n.disk.durable.ents, n.disk.durable.hs.GetCommit()
	if n.core != nil {
		ents, known = n.log.ents, n.checked
	}
	if k := len(ents); k == 0 || ents[k-1].GetIndex() <= known {
		return false
	}
	if voters, outgoing := s.ledger.confAfter(known); len(voters) <= 2 && len(outgoing) == 0 {
		return false
	}
	inc := uint64(0)
	for _, e := range ents {
		if e.GetIndex() <= known || e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		c, err := ring.DecodeCommand(e.GetData())
		switch {
		case err != nil:
		case c.Return != nil && c.Return.ID == id:
			inc = c.Return.Incarnation
		case c.Declare != nil && c.Declare.ID == id && c.Declare.Incarnation != 0:
			inc = c.Declare.Incarnation
		}
	}
	return inc != 0 && !slices.Contains(o.disk.durable.former, inc)
}

// superseded ends a process that learned that it is not its member.
func (s *Sim) superseded(n *node, x election.Superseded) {
	s.stats.count(fmt.Sprintf("process: superseded (behind: %v)", x.Behind), 1)
	if n.twinOf == 0 && x.Behind && !n.restored && !s.twinWentOn(n, x.By) {
		s.failAt(n, "start", "is told that its directory is behind, and nobody put an older one back")
	}
	// A process from an older disk may get the number of one that has ended, and
	// hears what that one would: that it is not the member.
	if !x.Behind && !n.restored && !s.copied(n.id) {
		s.failAt(n, "start", "is told that another process is the member, and nobody copied its directory")
	}
	s.retireMachine(n, "another process is this member")
}

// twinEnds notes up to which term a twin spoke for its member.
func (s *Sim) twinEnds(n *node) {
	if n.core != nil && s.twins[n.inc] == n.id {
		s.twinTerms[n.id] = max(s.twinTerms[n.id], n.core.Status(n.clock.local(s.now)).Term)
	}
}

// twinCounted reports whether a leader may count on what a twin of n has: it runs, or
// it ran in the term that n is in.
func (s *Sim) twinCounted(n *node) bool {
	return n.core.Status(n.clock.local(s.now)).Term <= s.twinTerms[n.id] ||
		slices.ContainsFunc(s.nodes, func(o *node) bool { return o.up && o.twinOf == n.idx+1 })
}

// twinWentOn reports whether a copy of n's disk was the member, and n's disk lacks what
// was committed with the copy's word: the ring has recorded the copy, which may have
// been restarted since, or it took part in a later term than n's disk knows.
func (s *Sim) twinWentOn(n *node, by uint64) bool {
	im, g := &n.disk.durable, &s.ledger
	m, ok := g.Member(n.id)
	i, known := s.incarnations[by]
	recorded := ok && m.Incarnation == by && s.copied(n.id)
	tookPart := s.twins[by] == n.id && s.twinTerms[n.id] > im.hs.GetTerm()
	return (recorded || tookPart) && known && i != n.idx && im.first+uint64(len(im.ents)) <= g.base+uint64(len(g.ents))
}

// copied reports whether a twin of a member ever ran.
func (s *Sim) copied(id uint64) bool {
	return slices.Contains(slices.Collect(maps.Values(s.twins)), id)
}

// refusedStart reports whether a process that would resume a membership finds
// another one of it alive, as the daemon asks before it speaks.
func (s *Sim) refusedStart(n *node) bool {
	// Its own incarnation is not drawn yet: no process has number 1.
	wanted := ring.Wanted{Cluster: "sim", RingID: "r1", Name: n.asName(), ID: n.disk.durable.id, Incarnation: 1}
	for _, o := range s.nodes {
		if o != n && o.core != nil && membership.HeldBy(wanted, ring.Path{Outcome: ring.PathAnswered, Answer: o.answer()}) && s.open(n.idx, o.idx) && s.open(o.idx, n.idx) && o.up && !o.paused && n.rnd.IntN(4) > 0 {
			return true
		}
	}
	return false
}

// restoreDisk kills a process and puts back an image of its disk from before the
// process that the ring has recorded.
func (s *Sim) restoreDisk(f *Fault, n *node) {
	m, recorded := s.ledger.Member(n.disk.durable.id)
	i := slices.IndexFunc(n.past, func(im image) bool {
		return im.id == n.disk.durable.id && !im.empty() && !slices.Contains(im.former, m.Incarnation)
	})
	if i < 0 || !recorded || !n.up || m.Incarnation != n.inc || !s.heardByAll(n) || !s.recordedByAll(n) || !s.judged(&n.past[i], 3) ||
		!s.world.Reckless && !s.quorum(n.idx) {
		s.stats.count("restore: not possible now", 1)
		return
	}
	s.stats.count("restore: an older disk", 1)
	s.tracef(n, "its disk is put back as it was before")
	s.kill(n, f)
	n.disk.durable = n.past[i].copy()
	n.restored = true
}

// routed returns the machine that a message reaches. Two may run as the same
// member: then chance decides, but for a message to one process.
func (s *Sim) routed(n *node, m election.Message) int {
	to := s.machineOf(m.To)
	if h := m.Held; h != nil {
		if i, ok := s.incarnations[h.Incarnation]; ok {
			return i
		}
		return -1
	}
	for _, o := range s.nodes {
		if o.twinOf != 0 && o.core != nil && o.id == m.To && o != n && n.rnd.IntN(2) == 0 {
			return o.idx
		}
	}
	if to >= 0 && s.nodes[to].core == nil {
		// The ring has recorded a twin that has ended. The original listens where its
		// addresses lead.
		if i := slices.IndexFunc(s.nodes, func(o *node) bool { return o.twinOf == 0 && o.core != nil && o.id == m.To }); i >= 0 {
			return i
		}
	}
	return to
}
