package sim

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// reading is when a message was read, and how long after it was sent.
type reading struct{ at, age int64 }

// readLate is from which age on a message is noted: what is younger is within the
// slack of the check.
const readLate = 20 * time.Millisecond

// since is when a process first said something in a term.
type since struct {
	term uint64
	at   int64
}

func (f *since) note(term uint64, now int64) {
	if f.term != term {
		*f = since{term, now}
	}
}

// noteAsked takes down when a process first asked for votes in a term, and when it first
// answered that it can take over. It counts a claim of which it is told from then.
func (s *Sim) noteAsked(n *node, m *election.Message) {
	switch {
	case m.Raft != nil && m.Raft.GetType() == raftpb.MsgVote:
		n.wished.note(m.Raft.GetTerm(), s.now)
	case m.Takeover != nil && m.Takeover.Able:
		n.able.note(m.Takeover.Term, s.now)
	}
}

// noteAge takes down what is read long after its question was first asked: a wish for a
// vote, or the word to take over.
func (s *Sim) noteAge(from, to *node, m *election.Message) {
	if m.Raft == nil {
		return
	}
	asked := since{term: m.Raft.GetTerm(), at: s.now}
	switch t := m.Raft.GetType(); {
	case t == raftpb.MsgVote && from.wished.term == asked.term:
		asked = from.wished
	case t == raftpb.MsgTimeoutNow && to.able.term == asked.term:
		asked = to.able
	}
	if age := s.now - asked.at; age >= int64(readLate) {
		s.wanted = append(s.wanted, reading{s.now, age})
	}
}

// noteLost takes down that a renewal or its ack was lost.
func (s *Sim) noteLost(e event) {
	if m, ok := e.p.(*election.Message); ok && (m.Renew != nil || m.RenewAck != nil) {
		s.unrenewed = append(s.unrenewed, s.now)
	}
}

// oldest is the greatest age of what was read between two moments.
func oldest(read []reading, from, to time.Duration) (age time.Duration) {
	for _, r := range read {
		if r.at >= int64(from) && r.at <= int64(to) {
			age = max(age, time.Duration(r.age))
		}
	}
	return age
}

// within reports whether one of the moments is between two others.
func within(moments []int64, from, to time.Duration) bool {
	return slices.ContainsFunc(moments, func(at int64) bool { return at >= int64(from) && at <= int64(to) })
}

// checkOutages compares the holes between the true claims with what the
// committed history says about them. It is called when the ring is whole again:
// what can be known is known by then.
//
// The history may say less than the truth where the leader that came after did
// not last long enough to tell, and where all who voted for it had been
// restarted. It may say more by what a voter cannot know: how long before its
// end a leader was last heard, or how long it went on unheard.
func (s *Sim) checkOutages(lead *node) {
	st := lead.core.State()
	claims := slices.Clone(s.claims)
	claims = append(claims, Claim{lead.name, lead.claimTerm, time.Duration(lead.claimFrom), time.Duration(s.now)})
	slices.SortFunc(claims, func(a, b Claim) int { return int(a.From - b.From) })
	lease := s.ledger.longestLease(s.outagesFrom - int64(time.Minute))
	slack := lease + 250*time.Millisecond
	// The newest claim that lasted long enough to be known of; the beginning if
	// there is none. A founder alone knows of its own claim.
	var solid Claim
	for i, c := range claims {
		if i > 0 && int64(c.From) > s.outagesFrom {
			before := claims[i-1]
			s.judgeOutage(st, before, c, c.From-solid.To, lease, slack)
			if s.failure != nil {
				return
			}
		}
		if c.To-c.From > 2*lease || solid.Term == 0 && !s.world.Together {
			solid = c
		}
	}
	s.outagesFrom = s.now
}

// judgeOutage looks for the hole between two claims; most is how long it was
// since a claim that everybody must know of.
func (s *Sim) judgeOutage(st *ring.State, before, c Claim, most, lease, slack time.Duration) {
	hole := c.From - before.To
	at := slices.IndexFunc(st.History, func(l ring.Leadership) bool { return l.Term == c.Term })
	if at < 0 {
		return // it was declared and claimed by somebody who lost its log before it was committed elsewhere: G3 judges
	}
	l := &st.History[at]
	known, certain := l.Outage()
	told := c.To-c.From > lease+time.Second
	if before.Term == c.Term {
		known, certain, told = 0, 0, c.To-c.From > 12*lease+time.Second
		for _, x := range l.Interruptions {
			known = max(known, time.Duration(x.Gap)*time.Microsecond)
		}
		if len(l.Interruptions) == ring.InterruptionsKept {
			return
		}
	}
	s.stats.count("outages: compared with the history", 1)
	name := "a new term"
	if before.Term == c.Term {
		name = "the same term"
	}
	// A voter that was started since the first claim has forgotten its promise.
	if hole > slack && told && !l.GapAtLeast && known < hole-slack && (before.Term == c.Term || !within(s.starts, before.From, c.From)) {
		s.fail("outage", "nobody claimed for %v until %s did at %.6f s in %s, %d; the history says %v (evidence %q, %s)", hole, c.Node, c.From.Seconds(), name, c.Term, known, l.Evidence, l.Why)
		return
	}
	// A voter that was restarted has forgotten its promise, and the others may
	// not have made one for long.
	forgot := within(s.starts, c.From-known, c.From)
	// The last renewals before it, or what they named as acked, may have been lost,
	// with the stream standing still.
	if s.net.Loss > 0 || within(s.unrenewed, c.From-known-lease, before.To) {
		most += lease + retransmission
	}
	// A vote says how long ago something was. Its reader counts from when it asked.
	most += oldest(s.wanted, before.To, c.From)
	if before.Term != c.Term && !forgot && known > most+slack {
		s.fail("outage", "nobody claimed for %v (%v since a long claim) until %s did at %.6f s in %s, %d; the history says %v", hole, most, c.Node, c.From.Seconds(), name, c.Term, known)
		return
	}
	if before.Term != c.Term && certain > hole+slack {
		s.fail("outage", "nobody claimed for %v until %s did at %.6f s in %s, %d; the history says %v for certain", hole, c.Node, c.From.Seconds(), name, c.Term, certain)
	}
}
