package sim

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/monitor/detector"
	"github.com/arc-ring/arc/ring"
)

// What G4 is judged by: not what the cores believe, but what was sent, what
// arrived, and who lived.

// evidence is what happened that may speak against a member.
type evidence struct {
	// pinged is when a monitor first asked an incarnation in vain since their
	// last exchange; exchanged is when that was.
	pinged, exchanged map[watchKey]int64
	// sent and newest are the numbers of the newest probe, and of the newest
	// that was answered.
	sent, newest map[watchKey]uint64
	// accused are the suspicions of all monitors by incarnation.
	accused map[uint64][]accusation
	// looked are the results of the probes of leaders, and of who would lead,
	// by member.
	looked map[lookKey][]look
	// replaced are the processes whose place the ring has given to another one, each
	// with the index of the entry that did.
	replaced map[uint64]uint64
}

// accusation is one monitor's suspicion: when it was first and last told; or a
// coordinator's own probe that failed.
type accusation struct {
	node        int
	from, until int64
	probe       bool
}

// look is what a probe found, and when it began and ended: whom it asked for,
// and which process was there when it began (0: none).
type look struct {
	began, at      int64
	asked, present uint64
	silent, dead   bool
}

// watchKey is a monitor's machine and whom it looks at. A process may come
// back under another id.
type watchKey struct {
	node    int
	id, inc uint64
}

// lookKey is a leader's machine and the member that it probes.
type lookKey struct {
	node int
	id   uint64
}

func newEvidence() evidence {
	return evidence{map[watchKey]int64{}, map[watchKey]int64{}, map[watchKey]uint64{}, map[watchKey]uint64{}, map[uint64][]accusation{}, map[lookKey][]look{}, map[uint64]uint64{}}
}

// asks notes that a monitor probes; its word counts from the first probe that
// is not answered.
func (s *Sim) asks(n *node, t detector.Target, seq uint64) {
	k := watchKey{n.idx, t.ID, t.Incarnation}
	if seq < s.evidence.sent[k] {
		s.evidence.newest[k] = 0 // it counts from 1 again
	}
	s.evidence.sent[k] = seq
	if at, ok := s.evidence.pinged[k]; !ok || at <= s.evidence.exchanged[k] {
		s.evidence.pinged[k] = s.now
	}
}

// answered notes an answer to a monitor's probe. One that was doubled on the
// way, that a later one overtook, or that is from before a new count, says
// nothing new.
func (s *Sim) answered(n *node, t detector.Target, seq uint64) {
	k := watchKey{n.idx, t.ID, t.Incarnation}
	if seq > s.evidence.newest[k] && seq <= s.evidence.sent[k] {
		s.evidence.newest[k], s.evidence.exchanged[k] = seq, s.now
	}
}

// accuse notes a monitor's suspicion, and checks that there was the silence
// that it is about.
func (s *Sim) accuse(n *node, a detector.Action) {
	inc := a.Target.Incarnation
	list := s.evidence.accused[inc]
	i := slices.IndexFunc(list, func(x accusation) bool { return x.node == n.idx && !x.probe && s.now-x.until < int64(10*time.Second) })
	if i >= 0 {
		list[i].until = s.now
	} else {
		s.evidence.accused[inc] = append(list, accusation{n.idx, s.now, s.now, false})
	}
	if a.Opinion.Evidence() != ring.Silent || a.Repeat {
		return
	}
	// The probe that is given up last was sent an interval after the one
	// before it, so the first was so many intervals ago, by the fastest clock. It
	// may have been sent a little late: up to a quarter of an interval counts.
	st := n.mon.settings
	span := int64(forever)
	for _, leader := range []bool{true, false} {
		interval, misses := st.Link(leader)
		span = min(span, int64(st.Shortened(interval*time.Duration(misses-1)-interval/4)))
	}
	k := watchKey{n.idx, a.Target.ID, inc}
	if asked, ok := s.evidence.pinged[k]; !ok || s.now-asked < span || s.evidence.exchanged[k] >= asked {
		s.failAt(n, "G4", "its monitor takes %s for silent, but asked it first %v ago; they last spoke %v ago", a.Target.Name, time.Duration(s.now-asked), time.Duration(s.now-s.evidence.exchanged[k]))
	}
}

// noteProbe remembers what a leader's own probes found.
func (s *Sim) noteProbe(n *node, r election.ProbeResult, began int64) {
	if i := s.machineOf(r.Of.ID); n.heardSince(r.Of.ID, began) && i >= 0 && s.nodes[i].up {
		return // whatever the probe found, its target was alive after it
	}
	l := look{began: began, at: s.now, asked: r.Of.Incarnation, silent: r.Outcome == election.Unanswered}
	l.dead = l.silent || r.Outcome == election.NobodyListens || r.AnsweredBy != r.Of.Incarnation
	if m := s.machineOf(r.Of.ID); m >= 0 && s.nodes[m].startedAt <= began {
		l.present = s.nodes[m].inc
	}
	k := lookKey{n.idx, r.Of.ID}
	s.evidence.looked[k] = append(s.evidence.looked[k], l)
	if l.dead {
		s.evidence.accused[r.Of.Incarnation] = append(s.evidence.accused[r.Of.Incarnation], accusation{n.idx, s.now, s.now, true})
	}
}

// replaces notes the entry that gives the place of a process to another one.
func (s *Sim) replaces(was, is, index uint64) {
	if was != is {
		s.evidence.replaced[was] = index
		delete(s.evidence.replaced, is)
	}
}

// replacedFor reports whether a machine has applied the entry that gave the place of a
// process to another one. Of a pair, it may take that process back.
func (s *Sim) replacedFor(n *node, inc uint64) bool {
	index, ok := s.evidence.replaced[inc]
	return ok && n.core.Status(n.clock.local(s.now)).Applied >= index && len(s.ledger.voters) > 2
}

// against reports whether a probe found an incarnation dead. Where nobody
// answered at all, none did: neither the process that was there, nor one that
// had ended before.
func (l look) against(s *Sim, inc uint64) bool {
	if l.asked == inc {
		return l.dead
	}
	died, ended := s.dead[inc]
	return l.silent && (l.present == inc || ended && died <= l.began)
}

// birth is who first had an entry, and when. A proposal is seen only when it is
// written; it was made after from, since it may have waited for the disk.
type birth struct {
	node     int
	at, from int64
	leader   uint64 // by its ring at that time
	settings ring.Settings
	silence  []silence     // of those whom the entry evicts
	hung     time.Duration // for which the node's disk had not finished a write
}

// silence is when the proposer last heard of a member's process, and when it
// first asked it for a sign of life since then (0: not).
type silence struct {
	id           uint64
	heard, asked int64
}

// born notes the birth of an entry.
func (s *Sim) born(n *node, e *raftpb.Entry) {
	k := birthKey{e.GetIndex(), e.GetTerm()}
	if _, ok := s.births[k]; ok {
		return
	}
	st := n.core.State()
	b := birth{node: n.idx, at: s.now, from: s.now, leader: st.LeaderID, settings: st.Settings, hung: n.disk.hungFor(s.now)}
	if n.disk.working {
		b.from = n.wrote
	}
	if c, err := ring.DecodeCommand(e.GetData()); err == nil {
		if c.Evict != nil {
			b.silence = append(b.silence, n.silenceOf(c.Evict.ID))
		}
		if c.Declare != nil {
			for _, ev := range c.Declare.Evict {
				b.silence = append(b.silence, n.silenceOf(ev.ID))
			}
		}
	}
	s.births[k] = b
}

func (n *node) silenceOf(id uint64) silence {
	x := silence{id: id, heard: n.startedAt}
	for _, m := range n.meetings {
		if m.id == id {
			x.heard = max(x.heard, m.present)
		}
	}
	if at := n.asked[id]; at >= x.heard { // it may answer and ask in one step
		x.asked = at
	}
	return x
}

const elsewhere = "ring: evicted, while every address that the ring had led elsewhere"

// judgeEviction is G4.
func (s *Sim) judgeEviction(e *raftpb.Entry, m verify.Member, ev ring.Evict, declare bool) {
	g := &s.ledger
	s.stats.count("ring: evicted, "+string(ev.Evidence), 1)
	if declare {
		s.stats.count("ring: evicted by a declaration", 1)
	}
	g.evicted++
	s.evictions = append(s.evictions, Event{time.Duration(s.now), m.Name, e.GetTerm()})
	who := s.nodes[s.machineOf(m.ID)]
	s.trigger("evicted", who)
	inc := ev.Incarnation
	if inc == 0 {
		inc = m.Incarnation
	}
	born, ok := s.births[birthKey{e.GetIndex(), e.GetTerm()}]
	if !ok {
		born = birth{node: who.idx, at: s.now, from: s.now, settings: g.settings}
	}
	diedAt, dead := s.dead[inc]
	dead = dead && diedAt <= born.at
	what := fmt.Sprintf("%s (member %d) is evicted as %s by %s", m.Name, m.ID, ev.Evidence, s.nodes[born.node].name)
	switch ev.Evidence {
	case ring.Certified:
		if !dead {
			s.fail("G4", "%s, but that incarnation is alive", what)
		}
		return
	case ring.Operator:
		if !s.asked.evictions[m.Name] {
			s.fail("G4", "%s, but no operator asked for it", what)
		}
		return
	case ring.Replaced:
		if !dead && who.id == m.ID && who.core != nil {
			s.fail("G4", "%s, but that one still runs as member %d", what, m.ID)
		}
		return
	case ring.Refused:
		switch {
		case dead:
		case s.misplaced(who, m):
			s.stats.count(elsewhere, 1)
			return
		default:
			s.fail("G4", "%s, but that incarnation listens", what)
			return
		}
	}
	caretaker := g.term < e.GetTerm() // or one that just declares itself
	switch {
	case s.confirmed(born, m.ID, inc, born.silenceOf(m.ID).heard, caretaker):
		s.stats.count("ring: evicted by an own probe", 1)
	case caretaker && (m.ID == g.Leader || m.ID == born.leader) && s.abandoned(born, m.ID, inc):
		s.stats.count("ring: evicted by its silence", 1)
	case dead && who.inc != inc && !s.ranAtThat(who, born.at) && s.confirmed(born, m.ID, inc, 0, caretaker):
		// The process that the ring has recorded was found dead, and a later one
		// that spoke since had ended as well.
		s.stats.count("ring: evicted after a process that it had not recorded", 1)
	case dead && caretaker && (m.ID == g.Leader || m.ID == born.leader) &&
		(!s.ranAtThat(who, born.at) || who.startedAt > born.silenceOf(m.ID).heard && (s.suspected(born, inc) || s.silentForALease(born, m.ID))):
		// The same for the old leader, whose silence its winner need not probe. If a
		// process runs now, it had not spoken to the winner yet.
		s.stats.count("ring: evicted after a process that it had not recorded", 1)
	default:
		s.fail("G4", "%s, but what happened does not bear that out: %s", what, s.against(born, m.ID, inc))
		return
	}
	if dead {
		return
	}
	// It lives: something must have been in the way.
	if s.misplaced(who, m) {
		s.stats.count(elsewhere, 1)
		return
	}
	window := born.at - int64(s.patience())
	proposer := s.nodes[born.node]
	if who.lastBad(s.now) >= window || proposer.lastBad(s.now) >= window || who.mon.paused || who.bad >= window {
		return
	}
	for _, o := range s.nodes {
		if o != who && (s.link(o.idx, who.idx).bad >= window || s.link(who.idx, o.idx).bad >= window || s.link(o.idx, who.idx).cut > 0 || s.link(who.idx, o.idx).cut > 0) {
			return
		}
	}
	s.fail("G4", "%s, but it was alive and reachable for %v before", what, s.patience())
}

// ranAtThat reports whether a process of a machine ran at a moment.
func (s *Sim) ranAtThat(n *node, at int64) bool {
	ended, over := s.dead[n.inc]
	return n.startedAt <= at && (n.up || !over || ended > at)
}

// confirmed reports whether a suspicion and an own probe of the proposer speak
// against an incarnation: a monitor accused it, the probe found it dead, and
// since that began the proposer heard nothing of its member. An heir that the votes
// passed over has only the caretaker's probe against it (G3).
func (s *Sim) confirmed(born birth, id, inc uint64, heard int64, caretaker bool) bool {
	return slices.ContainsFunc(s.evidence.looked[lookKey{born.node, id}], func(l look) bool {
		return l.at <= born.at && l.at >= born.from-int64(s.patience()) && l.against(s, inc) &&
			(heard <= l.began || heard >= born.from) && (caretaker || s.suspected(born, inc) || s.alone(born, id))
	})
}

// alone reports whether the proposer heard nothing of a member for as long as a
// monitor's suspicion takes, and there was nobody else whom it could have asked
// to probe it.
func (s *Sim) alone(born birth, id uint64) bool {
	st, by := born.settings, s.nodes[born.node]
	if born.at-born.silenceOf(id).heard < int64(st.Shortened(st.Detection(false))) {
		return false
	}
	window := born.at - int64(s.patience())
	for _, m := range s.ledger.Members {
		i := s.machineOf(m.ID)
		if m.ID == id || i < 0 || i == born.node {
			continue
		}
		if o := s.nodes[i]; o.up && o.id == m.ID && o.lastBad(s.now) < window && s.link(o.idx, by.idx).bad < window && s.link(by.idx, o.idx).bad < window {
			return false
		}
	}
	return true
}

// suspected reports whether a monitor told of a suspicion that still counted,
// or somebody else's probe, for which the leader asked, had failed.
func (s *Sim) suspected(born birth, inc uint64) bool {
	st := born.settings
	lasts := int64(st.Stretched(st.SuspicionLasts())) + int64(s.patience()/4) // the way, and a stopped process
	return slices.ContainsFunc(s.evidence.accused[inc], func(a accusation) bool {
		return a.from <= born.at && a.until >= born.from-lasts && !(a.probe && a.node == born.node)
	})
}

// abandoned reports whether the old leader may go without a probe: its winner
// heard nothing of it for a lease; or a watcher accused it, and it did not
// answer the winner's own question for as long as it takes to miss one probe
// less than a suspicion needs.
func (s *Sim) abandoned(born birth, id, inc uint64) bool {
	x := born.silenceOf(id)
	st := born.settings
	interval, misses := st.Link(true)
	if x.heard >= born.from {
		return true // it was heard only after the decision; what was before is not known
	}
	if s.silentForALease(born, id) && (x.asked != 0 || s.suspected(born, inc)) {
		return true
	}
	return x.asked != 0 && born.at-x.asked >= int64(st.Shortened(interval*time.Duration(max(misses-1, 1)))) && s.suspected(born, inc)
}

// silentForALease reports whether the proposer had not heard of a member for as
// long as a lease.
func (s *Sim) silentForALease(born birth, id uint64) bool {
	return born.at-born.silenceOf(id).heard >= int64(born.settings.Shortened(born.settings.Lease()))
}

func (b birth) silenceOf(id uint64) silence {
	for _, x := range b.silence {
		if x.id == id {
			return x
		}
	}
	return silence{id: id, heard: b.at}
}

// against says what there was against an incarnation.
func (s *Sim) against(born birth, id, inc uint64) string {
	sec := func(at int64) float64 { return time.Duration(at).Seconds() }
	x := born.silenceOf(id)
	t := fmt.Sprintf("decided between %.6f s and %.6f s, heard of it at %.6f s, asked it at %.6f s (0: not)", sec(born.from), sec(born.at), sec(x.heard), sec(x.asked))
	for _, l := range s.evidence.looked[lookKey{born.node, id}] {
		t += fmt.Sprintf("; probed it from %.6f s to %.6f s, dead: %v", sec(l.began), sec(l.at), l.against(s, inc))
	}
	for _, a := range s.evidence.accused[inc] {
		t += fmt.Sprintf("; accused by %s from %.6f s to %.6f s", s.nodes[a.node].name, sec(a.from), sec(a.until))
	}
	return t
}

// patience is how old a disturbance may be that explains an eviction.
func (s *Sim) patience() time.Duration {
	st := s.ledger.settings
	lease := s.ledger.longestLease(s.now - int64(10*time.Second))
	return 2*st.Detection(false) + st.Detection(true) + 8*lease + 8*st.RenewEvery() + 2*time.Second
}
