package sim

import (
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/ring"
)

// asked is what people and joiners have asked of the ring in a run. Nothing
// that only they can want may be committed without it.
type asked struct {
	settings  map[ring.Settings]bool
	evictions map[string]bool // of members by name
	leaves    map[uint64]bool // of members by id
	handovers []handoverAsked
}

// handoverAsked is a handover that a core was told to carry out; to is 0 for
// one to the heir.
type handoverAsked struct {
	node int
	at   int64
	to   uint64
}

// mark is where in the log something was committed.
type mark struct{ index uint64 }

type settingsMark struct {
	mark
	settings ring.Settings
}

type forgetMark struct {
	mark
	ids []uint64
}

type leaderMark struct {
	mark
	id uint64
}

// appointmentLasts is for how long after a request a leader may still appoint
// somebody: a handover takes three seconds at most, and its entry may wait for
// a slow disk.
const appointmentLasts = 10 * time.Second

// request hands a request to a core, and remembers what it is to be held to.
func (s *Sim) request(n *node, req election.Request, c *rpc) uint64 {
	s.refs++
	req.Ref = s.refs
	n.refs = append(n.refs, pendingRef{ref: req.Ref, rpc: c, request: req, at: s.now, index: s.ledger.last()})
	if h := req.Handover; h != nil {
		s.asked.handovers = append(s.asked.handovers, handoverAsked{n.idx, s.now, h.To})
	}
	n.core.Request(n.clock.local(s.now), req)
	s.stepped(n)
	return req.Ref
}

// done completes a request.
func (s *Sim) done(n *node, d election.Done) {
	i := slices.IndexFunc(n.refs, func(r pendingRef) bool { return r.ref == d.Ref })
	if i < 0 {
		s.fail("done", "%s completes request %d, which is not under way", n.name, d.Ref)
		return
	}
	r := n.refs[i]
	n.refs = slices.Delete(n.refs, i, i+1)
	if d.Err == nil {
		s.acknowledged(n, r, d)
	}
	if r.request.Join != nil && errors.Is(d.Err, ring.ErrNameInUse) {
		s.turnedAway(n, r)
	}
	c := r.rpc
	if c == nil {
		n.leave.ref = 0
		if n.leave.until != 0 && errors.Is(n.leave.departure.AnsweredSelf(n.leave.step, d.Err), election.ErrRests) {
			s.rests(n)
		}
		return
	}
	c.id, c.err, c.hint = d.ID, d.Err, -1
	if r.request.Join != nil && n.core != nil {
		st := n.core.State()
		c.unborn = membership.Unborn(n.core.Status(n.clock.local(s.now)).Declared, st.Epoch, len(st.Members))
	}
	if errors.Is(d.Err, election.ErrNotLeader) && n.core != nil {
		if l := n.core.Status(n.clock.local(s.now)).Leader; l != 0 {
			c.hint = s.machineOf(l)
		}
	}
	s.transmit(n.idx, c.from, event{kind: evReply, p: c}, true)
}

// acknowledged checks that what a core calls done is committed. That it stays
// so, and that every member's state shows it, is checked with the log and with
// what each member applies.
func (s *Sim) acknowledged(n *node, r pendingRef, d election.Done) {
	g := &s.ledger
	req := r.request
	since := func(m mark) bool { return m.index > r.index }
	switch {
	case req.Join != nil:
		m := req.Join.Member
		if name := g.checker.NameOf(d.ID); name != m.Name {
			s.fail("ids", "%s tells %s that it joined as member %d, but the log says %q", n.name, m.Name, d.ID, name)
		}
	case req.Leave != nil, req.Stop != nil:
		id := leaver(req)
		if _, member := g.Member(id); member {
			s.failAt(n, "done", "member %d is told that it has left, but it is a member by the log", id)
		} else if slices.Contains(g.voters, id) || slices.Contains(g.outgoing, id) {
			s.failAt(n, "done", "member %d is told that it may go, but raft counts its vote: %v %v", id, g.voters, g.outgoing)
		}
	case req.Evict != nil:
		if m, member := g.Member(req.Evict.ID); member {
			s.failAt(n, "done", "the operator is told that %s (member %d) is evicted, but it is a member by the log", m.Name, m.ID)
		}
	case req.Settings != nil:
		if !slices.ContainsFunc(g.changed, func(m settingsMark) bool { return since(m.mark) && m.settings == *req.Settings }) {
			s.failAt(n, "done", "the operator is told that the settings are changed to %+v, but no such change was committed after index %d", *req.Settings, r.index)
		}
	case req.Forget != nil:
		if !slices.ContainsFunc(g.forgotten, func(m forgetMark) bool { return since(m.mark) && slices.Equal(m.ids, req.Forget.IDs) }) {
			s.failAt(n, "done", "the operator is told that the former members %v are forgotten, but that was not committed after index %d", req.Forget.IDs, r.index)
		}
	case req.Handover != nil:
		to := req.Handover.To
		if to == n.id && g.Leader == n.id {
			return
		}
		if !slices.ContainsFunc(g.leaders, func(m leaderMark) bool {
			return since(m.mark) && m.id != n.id && (to == 0 || m.id == to)
		}) {
			s.failAt(n, "done", "the operator is told that member %d (0: the heir) leads, but none declared itself after index %d", to, r.index)
		}
	}
}

// turnedAway checks that somebody had the name of a joiner that is refused for good.
// That ends the joiner's process, so its machine would be left out until somebody
// starts it again.
func (s *Sim) turnedAway(n *node, r pendingRef) {
	j := r.request.Join.Member
	m, held := n.core.State().MemberByName(j.Name)
	if !held {
		return // it was answered as the member, and was evicted just then
	}
	s.stats.count("join: the name is in use", 1)
	has := func(o *node) bool { return o.up && (o.inc == m.Incarnation || o.id == m.ID) }
	if !slices.ContainsFunc(s.nodes, has) && max(s.dead[m.Incarnation], s.ended[m.ID]) < r.at {
		s.failAt(n, "done", "%s is refused for good as %x, but the last process of member %d had ended before it asked", j.Name, j.Incarnation&0xffff, m.ID)
	}
}

// unanswered checks that no core sits on a request, once nothing has been
// wrong for a while.
func (s *Sim) unanswered() {
	if !s.demand || s.leadAt == 0 {
		return
	}
	for _, n := range s.nodes {
		for _, r := range n.refs {
			if waits := s.now - max(r.at, s.leadAt); waits > int64(s.answerBound()) {
				s.failAt(n, "done", "a request of %.6f s (%s) is not answered, although nothing has been wrong for %v", time.Duration(r.at).Seconds(), requestText(r.request), time.Duration(waits))
				return
			}
		}
	}
}

// answerBound is how long a request may take where nothing is wrong.
func (s *Sim) answerBound() time.Duration {
	_, lease := s.boundSettings()
	return handoverTime(lease) + 2*lease + time.Second + 8*(s.net.Base+s.net.Jitter)
}

// handoverTime is how long a leader tries to hand over.
func handoverTime(lease time.Duration) time.Duration {
	return min(max(4*lease, time.Second), 3*time.Second)
}

// leaver is the member that a request lets go.
func leaver(r election.Request) uint64 {
	if r.Stop != nil {
		return r.Stop.ID
	}
	return r.Leave.ID
}

func requestText(r election.Request) string {
	switch {
	case r.Join != nil:
		return "join of " + r.Join.Member.Name
	case r.Leave != nil:
		return "leave"
	case r.Stop != nil:
		return "stop"
	case r.Evict != nil:
		return "evict"
	case r.Handover != nil:
		return "handover"
	case r.Settings != nil:
		return "settings"
	case r.Forget != nil:
		return "forget"
	}
	return "nothing"
}

// judgeAsked checks that somebody asked for what is committed, if only
// somebody can want it, and that it names processes that there were.
func (s *Sim) judgeAsked(e *raftpb.Entry, c ring.Command) {
	switch {
	case c.Settings != nil:
		if !s.asked.settings[*c.Settings] {
			s.fail("asked", "the settings become %+v, and nobody asked for that", *c.Settings)
		}
	case c.Leave != nil:
		if !s.asked.leaves[c.Leave.ID] {
			s.fail("asked", "member %d leaves, and did not ask for it", c.Leave.ID)
		}
	case c.Appoint != nil:
		s.judgeAppointment(e, c.Appoint.To)
	case c.Join != nil:
		m := c.Join.Member
		if node := s.machineNamed(m.Name); node < 0 || !s.ranAt(m.Incarnation, node) {
			s.fail("asked", "%s joins as incarnation %x, which never ran on its machine", m.Name, m.Incarnation&0xffff)
		}
	case c.Return != nil:
		if !s.ranAt(c.Return.Incarnation, s.machineOf(c.Return.ID)) && s.twins[c.Return.Incarnation] != c.Return.ID {
			s.fail("asked", "member %d returns as incarnation %x, which never ran on its machine", c.Return.ID, c.Return.Incarnation&0xffff)
		}
	}
}

// judgeAppointment: a declared leader appoints by request alone, or who joined and asked
// to lead, or, while its own disk does not finish a write for a lease, who said that it
// could lead. A caretaker may pass over an heir that does not take over.
func (s *Sim) judgeAppointment(e *raftpb.Entry, to uint64) {
	g := &s.ledger
	born, ok := s.births[birthKey{e.GetIndex(), e.GetTerm()}]
	if to == 0 || !ok || g.term < e.GetTerm() {
		return
	}
	m := s.machineOf(to)
	if m >= 0 && s.nodes[m].lead {
		return
	}
	lease := born.settings.Lease()
	if hung := born.hung >= lease-lease*maxRate/1_000_000; hung && m >= 0 && s.nodes[m].able.term == e.GetTerm() { // its clock may be fast
		s.stats.count("disk: handed over since it hangs", 1)
		return
	}
	if !slices.ContainsFunc(s.asked.handovers, func(h handoverAsked) bool {
		return h.node == born.node && (h.to == to || h.to == 0) && h.at <= born.at && born.at <= h.at+int64(appointmentLasts)
	}) {
		s.fail("asked", "%s appoints member %d, and nobody asked for a handover", s.nodes[born.node].name, to)
	}
}

// ranAt reports whether an incarnation was ever a process of a machine.
func (s *Sim) ranAt(inc uint64, machine int) bool {
	at, ok := s.incarnations[inc]
	return ok && at == machine
}

// isPart reports whether whole has all of part, and more.
func isPart(part, whole []string) bool {
	return len(part) < len(whole) && !slices.ContainsFunc(part, func(a string) bool { return !slices.Contains(whole, a) })
}

// judgeReturn follows a member's process, or what it says of itself.
func (s *Sim) judgeReturn(index uint64, r ring.Return) string {
	g := &s.ledger
	i := slices.IndexFunc(g.Members, func(m verify.Member) bool { return m.ID == r.ID })
	if i < 0 {
		return "not a member"
	}
	m, at := &g.Members[i], strings.Join(r.Addresses, " ")
	if m.Incarnation == r.Incarnation && g.addrs[m.ID] == at {
		return "known"
	}
	if m.Incarnation == r.Incarnation && s.wholeAt != 0 && isPart(r.Addresses, strings.Fields(g.addrs[m.ID])) {
		s.wholeEpoch++ // told long after the address was gone, so nothing need be wrong now
	}
	s.replaces(m.Incarnation, r.Incarnation, index)
	m.Incarnation, g.addrs[m.ID] = r.Incarnation, at
	s.recorded(*m)
	s.stats.count("ring: returned", 1)
	return ""
}

// recorded lets messages to a member reach the process that the ring has recorded,
// but no twin that was stopped.
func (s *Sim) recorded(m verify.Member) {
	if i, ok := s.incarnations[m.Incarnation]; ok && s.nodes[i].up && s.nodes[i].id == m.ID {
		s.learnID(m.ID, i)
	}
}
