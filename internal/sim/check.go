package sim

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/ring"
)

// noteClaim takes down until when a node may claim, and checks G1, G2, G3 and
// G5 on it. A claim is begun or prolonged by a step of its core only, and then
// lives until its end by the node's clock, also while the process is stopped;
// so it is enough to look after each step.
func (s *Sim) noteClaim(n *node) {
	term, end := n.core.ClaimUntil()
	if term == 0 || n.clock.local(s.now) >= end {
		s.claimOver(n)
		s.noteLapse(n)
		return
	}
	at := int64(forever)
	if end != election.Never {
		at = n.clock.trueAt(end)
	}
	if n.claimTerm == term && n.claimEnd == at {
		return
	}
	begun := n.claimTerm != term
	if begun {
		s.claimOver(n)
		n.claimFrom = s.now
	}
	n.claimTerm, n.claimEnd, n.lapsing = term, at, false
	if s.broken(n, s.ledger.checker.Lease(n.lease())) {
		return
	}
	if begun {
		s.stats.count("claims", 1)
		s.checkFounded(n)
	}
	s.checkMinority(n)
}

// lease is the claim of a node.
func (n *node) lease() verify.Lease {
	by := verify.Process{Name: n.asName(), ID: n.id, Incarnation: n.inc}
	return verify.Lease{By: by, Term: n.claimTerm, From: time.Duration(n.claimFrom), Until: time.Duration(n.claimEnd)}
}

// broken fails a run with what the checker of all rings found.
func (s *Sim) broken(n *node, found []verify.Violation) bool {
	for _, v := range found {
		s.failAt(n, v.Check, "%s", v.Text)
	}
	return len(found) > 0
}

// claimOver takes down a claim that ended by now.
func (s *Sim) claimOver(n *node) {
	n.lapsing = n.lapsing || n.claimTerm != 0 && n.claimEnd <= s.now
	n.claimEnd = min(n.claimEnd, s.now)
	s.ledUntil = max(s.ledUntil, n.claimEnd)
	if l := n.lease(); l.Term != 0 {
		s.claims = append(s.claims, Claim{n.name, l.Term, l.From, l.Until})
		s.broken(n, s.ledger.checker.Lease(l))
	}
	n.claimTerm, n.claimEnd = 0, 0
}

// noteLapse takes down when the declared leader gave its term up, since its lease had
// run out or it never had one.
func (s *Sim) noteLapse(n *node) {
	if !n.lapsing && s.ledger.Leader != n.id {
		return
	}
	st := n.core.Status(n.clock.local(s.now))
	leads := st.Role == "StateLeader"
	if n.lapsing && !leads {
		n.lapsedAt = s.now
	}
	n.lapsing = leads && (n.lapsing || !s.ledger.checker.HasClaimed(st.Term))
}

// checkClaim reads the claim without a step, as a client of a process that was
// stopped may: it must not be more than what was known.
func (s *Sim) checkClaim(n *node) {
	term, end := n.core.ClaimUntil()
	if term == 0 || n.clock.local(s.now) >= end {
		return
	}
	at := int64(forever)
	if end != election.Never {
		at = n.clock.trueAt(end)
	}
	if n.claimTerm != term || at > n.claimEnd {
		s.failAt(n, "G2", "claims more without a step than after its last one: token %d, then %d", term, n.claimTerm)
	}
}

// lastReach is until when two machines may have exchanged a message and its
// answer: until the earlier of the two directions was cut for good, or the
// other process last ran.
func (s *Sim) lastReach(a, b *node) int64 {
	if a == b {
		return s.now
	}
	t := s.now
	for _, l := range []*link{s.link(a.idx, b.idx), s.link(b.idx, a.idx)} {
		if l.cut > 0 {
			t = min(t, l.cutAt)
		}
	}
	if b.badSince != 0 {
		t = min(t, b.badSince)
	}
	return t
}

// survives reports whether n is one of a pair whose other process has ended: it
// may go on alone.
func (s *Sim) survives(n *node, voters []uint64) bool {
	if len(voters) != 2 || !slices.Contains(voters, n.id) {
		return false
	}
	other := voters[0]
	if other == n.id {
		other = voters[1]
	}
	m := s.machineOf(other)
	if m < 0 || !s.nodes[m].up || s.nodes[m].id != other {
		return true
	}
	known, _ := s.ledger.Member(other)
	_, dead := s.dead[known.Incarnation]
	return dead
}

// checkMinority is G5: no more than a lease after the time until which a
// majority could answer, a claim is over.
func (s *Sim) checkMinority(n *node) {
	g := &s.ledger
	since := s.now
	for _, voters := range [][]uint64{g.voters, g.outgoing} {
		if len(voters) == 0 || s.survives(n, voters) {
			continue
		}
		var buf [24]int64
		until := buf[:0]
		for _, id := range voters {
			at := int64(0)
			for i, o := range s.nodes {
				if i == s.machineOf(id) || o.twinOf != 0 && o.id == id {
					at = max(at, s.lastReach(n, o))
				}
			}
			until = append(until, at)
		}
		slices.Sort(until)
		since = min(since, until[(len(until)-1)/2])
	}
	since = max(since, g.confAt)
	if since == s.now {
		return
	}
	lease := g.longestLease(since - int64(10*time.Second))
	if bound := since + int64(lease); n.claimEnd > bound {
		if own := n.core.Status(n.clock.local(s.now)).Voters; !slices.Equal(own, g.voters) {
			return // it does not use that configuration yet
		}
		s.failAt(n, "G5", "it reaches no majority of %v %v since %.6f s, and still claims until %.6f s: more than one lease (%v)", g.voters, g.outgoing, time.Duration(since).Seconds(), time.Duration(n.claimEnd).Seconds(), lease)
	}
}

// claimChanged checks that the news of a claim is true when it is made.
func (s *Sim) claimChanged(n *node, c election.ClaimChanged) {
	s.tracef(n, "claim: %v, token %d: %s", c.Claiming, c.Term, c.Why)
	if c.Claiming {
		s.stats.count("claims gained", 1)
		s.trigger("claim", n)
	}
}

func (s *Sim) suspicionChanged(n *node, c election.SuspicionChanged) {
	if c.Certificate != nil {
		if _, dead := s.dead[c.Certificate.Incarnation]; !dead {
			s.failAt(n, "G4", "accepted a death certificate for a living incarnation of %s", c.Certificate.Name)
		}
		s.trigger("certified", n)
	}
}

// watchRaft looks at what members say to one another, for triggers and counts.
func (s *Sim) watchRaft(n *node, m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat:
		s.appends[m.GetTerm()] = n.inc
	case raftpb.MsgPreVote:
		s.stats.count("raft: pre-votes asked", 1)
	case raftpb.MsgVote:
		s.stats.count("raft: votes asked", 1)
		s.trigger("vote", n)
	case raftpb.MsgSnap:
		s.stats.count("raft: snapshots sent", 1)
		s.trigger("snapshot", n)
	case raftpb.MsgTimeoutNow:
		s.stats.count("raft: transfers", 1)
		s.trigger("transfer", n)
	}
}

// leaderNow is the machine that may claim now, else the declared leader's, else -1.
func (s *Sim) leaderNow() int {
	for _, n := range s.nodes {
		if n.claimTerm != 0 && n.claimEnd > s.now {
			return n.idx
		}
	}
	if id := s.ledger.Leader; id != 0 {
		return s.machineOf(id)
	}
	return -1
}

// quorum reports whether the voters that run, or will run again from their
// disks, can elect a leader by what they themselves know: those with the
// longest log win or nobody, and they count by the configuration that they
// know to be committed. lose, if not -1, is a machine that is lost.
func (s *Sim) quorum(lose int) bool {
	return s.quorumWithout(func(n *node) bool { return n.idx == lose })
}

// quorumWithout is the same without some machines. Who is refused by the one with the
// longest log, or refuses it, gives it no vote.
func (s *Sim) quorumWithout(lost func(*node) bool) bool {
	var live []*node
	var best *node
	var bestTerm, bestIndex, known uint64
	for _, n := range s.nodes {
		im := &n.disk.durable
		if lost(n) || n.out || im.id == 0 || im.empty() {
			continue
		}
		live = append(live, n)
		term, index, commit := im.last(), im.first+uint64(len(im.ents))-1, im.hs.GetCommit()
		if n.core != nil {
			term, index, commit = n.log.lastTerm(), n.log.last(), n.checked
		}
		voters, outgoing := s.ledger.confAfter(commit)
		if !slices.Contains(voters, im.id) && !slices.Contains(outgoing, im.id) {
			continue
		}
		longer := best == nil || term > bestTerm || term == bestTerm && index > bestIndex
		if longer || term == bestTerm && index == bestIndex && s.refuses(best, best) {
			best, bestTerm, bestIndex, known = n, term, index, commit
		}
	}
	if best == nil {
		return false
	}
	most := func(voters []uint64) bool {
		k := 0
		for _, id := range voters {
			// Whom the core let go it must not need again.
			if s.letGo[id] || slices.ContainsFunc(live, func(n *node) bool {
				return n.disk.durable.id == id && (n == best || !s.refuses(best, n) && !s.refuses(n, best))
			}) {
				k++
			}
		}
		return len(voters) == 0 || k > len(voters)/2
	}
	// What is in its log beyond that will be committed first, by majorities of
	// configurations that it may change on the way.
	g := ledger{}
	g.voters, g.outgoing = s.ledger.confAfter(known)
	ents := best.disk.durable.ents
	if best.core != nil {
		ents = best.log.ents
	}
	ok := most(g.voters) && most(g.outgoing)
	for _, e := range ents {
		if e.GetIndex() > known && e.GetType() == raftpb.EntryConfChangeV2 {
			cc := &raftpb.ConfChangeV2{}
			if proto.Unmarshal(e.GetData(), cc) == nil {
				g.configure(cc)
				ok = ok && most(g.voters) && most(g.outgoing)
			}
		}
	}
	return ok && most(s.ledger.voters) && most(s.ledger.outgoing)
}

// demanded reports whether there has to be a leader again.
func (s *Sim) demanded() bool {
	return s.world.Demand || (s.quorum(-1) && s.mayLead() || s.foundersThere()) && !s.needsUnproven()
}

// needsUnproven reports whether there is no majority without the processes that
// those who knew their predecessors need not count.
func (s *Sim) needsUnproven() bool {
	unproven := func(n *node) bool { return n.core != nil && s.unproven(n) }
	return slices.ContainsFunc(s.nodes, unproven) && !s.quorumWithout(unproven)
}

// mayLead reports whether somebody runs, or will run again, who may lead: a
// member, or one who is free to join. Who was evicted but is still counted by
// raft is free once the others have let it go.
func (s *Sim) mayLead() bool {
	return slices.ContainsFunc(s.nodes, func(n *node) bool {
		id := n.disk.durable.id
		if n.witness || n.out || n.spare {
			return false
		}
		_, member := s.ledger.Member(id)
		return member || !slices.Contains(s.ledger.voters, id) && !slices.Contains(s.ledger.outgoing, id) || s.letsGo()
	})
}

// letsGo reports whether the members, none of whom runs and may lead, can let
// former members go: they need a majority among themselves then. The last member
// that may lead is never evicted, dead or not, and counts in that. So one witness
// beside it needs the vote of whom it should let go, and nobody can ever lead.
func (s *Sim) letsGo() bool {
	alive, kept := 0, 0
	for _, m := range s.ledger.Members {
		i := s.machineOf(m.ID)
		switch {
		case !m.Witness:
			kept = 1
		case i >= 0 && !s.nodes[i].out && s.nodes[i].disk.durable.id == m.ID && slices.Contains(s.ledger.voters, m.ID):
			alive++
		}
	}
	return alive > kept
}

func membersText(st *ring.State) string {
	ids := make([]string, 0, len(st.Members))
	for _, m := range st.Members {
		ids = append(ids, fmt.Sprintf("%d=%s/%x", m.ID, m.Name, m.Incarnation&0xffff))
	}
	return fmt.Sprint(ids)
}

// whole says what is missing to one leader and a closed ring, "" if nothing.
func (s *Sim) whole() (string, bool) {
	var lead *node
	for _, n := range s.nodes {
		if n.claimTerm == 0 || n.claimEnd <= s.now {
			continue
		}
		if lead != nil {
			return "two claims", false
		}
		lead = n
	}
	if lead == nil || lead.core == nil {
		return "nobody claims", false
	}
	st := lead.core.State()
	for _, n := range s.nodes {
		if !n.up {
			if n.out || n.spare {
				continue
			}
			return n.name + " does not run", true
		}
		if n.core == nil {
			return n.name + " has not joined", true
		}
		m, ok := st.Member(n.id)
		if !ok {
			return fmt.Sprintf("%s runs as member %d, which is none", n.name, n.id), true
		}
		if m.Incarnation != n.inc {
			return n.name + "'s return is not recorded", true
		}
		if n.clock.local(s.now) >= n.core.LeaderUntil() {
			return n.name + " has no proof that anybody leads", true
		}
		if own := n.core.State(); own.Epoch != st.Epoch || own.LeaderID != st.LeaderID {
			return fmt.Sprintf("%s is in epoch %d, the leader in %d", n.name, own.Epoch, st.Epoch), true
		}
		if front := n.mon.watch.Front(); len(st.Members) > 1 {
			next, _ := st.Successor(n.id)
			if !n.mon.up || front.ID != next.ID || front.Incarnation != next.Incarnation {
				return fmt.Sprintf("%s monitors %s/%x instead of %s/%x (monitor runs: %v)", n.name, front.Name, front.Incarnation&0xffff, next.Name, next.Incarnation&0xffff, n.mon.up), true
			}
		}
	}
	for _, m := range st.Members {
		if i := s.machineOf(m.ID); i < 0 || s.nodes[i].core == nil || s.nodes[i].id != m.ID {
			return fmt.Sprintf("member %d (%s) is dead", m.ID, m.Name), true
		}
	}
	if len(s.ledger.outgoing) > 0 || !slices.Equal(s.ledger.voters, st.Voters()) {
		return fmt.Sprintf("%v vote instead of %v", s.ledger.voters, st.Voters()), true
	}
	if st.Designated != nil {
		return "an appointment is open", true
	}
	return "", true
}
