package election

import (
	"fmt"
	"slices"
	"strings"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// maxApplicants bounds the joiners that wait for the look at who has their name.
const maxApplicants = 64

// applicant is a joiner whose name a member has. It may take the member's place
// only when that one is known to be gone.
type applicant struct {
	ref    uint64
	join   ring.Join
	holder ring.Member
	// until is when silence means that the holder does not answer; at deadline the
	// joiner is told to try again, whatever became of the look.
	until, deadline Instant
}

// join admits a joiner; this member leads. An unused name is free. So is the
// name of a member whose process has ended: it is certified, or the joiner's
// own process answers in its place and none of its addresses may still lead to
// it. An address in common is no proof: many machines may have it.
func (q *requests) join(ref uint64, j ring.Join) error {
	j.Replaces = 0
	l := q.lead
	holder, held := q.ring.MemberByName(j.Member.Name)
	dead := q.roster.verdict(holder.ID).certified()
	switch {
	case !held:
	case holder.ID == q.cfg.ID:
		return inUse(holder, "the leader")
	case dead || holder.Incarnation == j.Member.Incarnation:
		j.Replaces = holder.ID
	case len(l.applicants) >= maxApplicants:
		return fmt.Errorf("%w: %d joiners wait for names that are in use", ErrBusy, len(l.applicants))
	default:
		p := q.identity.probeOf(holder)
		p.Timeout = max(p.Timeout, durations.HolderAnswer)
		l.applicants = append(l.applicants, applicant{ref: ref, join: j, holder: holder,
			until: q.now.Add(p.Timeout * 9 / 10), deadline: q.now.Add(2 * p.Timeout)})
		q.emit(p)
		return nil
	}
	q.proposals.propose(proposal{req: ref}, ring.Command{Join: &j})
	return nil
}

func inUse(m ring.Member, what string) error {
	return fmt.Errorf("%w: %q is %s, member %d at %s; give one of them another --name", ring.ErrNameInUse, m.Name, what, m.ID, strings.Join(m.Addresses, ", "))
}

// holderProbed decides about the joiners that want the name of the member that
// was looked for.
func (q *requests) holderProbed(r ProbeResult) {
	l := q.lead
	l.applicants = slices.DeleteFunc(l.applicants, func(a applicant) bool {
		switch {
		case a.holder.ID != r.Of.ID || a.holder.Incarnation != r.Of.Incarnation || r.Outcome == Unanswered && q.now < a.until:
			return false // another one, or looked for less long
		case r.found():
			q.emit(Done{Ref: a.ref, Err: inUse(a.holder, "alive")})
		case r.Outcome == Answered && r.AnsweredBy == a.join.Member.Incarnation:
			q.trace("%s was started again without its disk and takes the place of member %d", a.holder.Name, a.holder.ID)
			a.join.Replaces = a.holder.ID
			q.proposals.propose(proposal{req: a.ref}, ring.Command{Join: &a.join})
		default:
			q.later(a)
		}
		return true
	})
}

// later ends the try of a joiner: this leader alone does not reach the holder of
// its name. If the holder's monitor does not either, the holder is evicted soon,
// and the name is free.
func (q *requests) later(a applicant) {
	q.emit(Done{Ref: a.ref, Err: fmt.Errorf("%w: %q is member %d at %s, which does not answer; its name is free once it is evicted",
		ErrBusy, a.holder.Name, a.holder.ID, strings.Join(a.holder.Addresses, ", "))})
}

// applicantRule bounds the wait of joiners.
func (q *requests) applicantRule() {
	l := q.lead
	l.applicants = slices.DeleteFunc(l.applicants, func(a applicant) bool {
		if q.before(a.deadline) {
			return false
		}
		q.later(a)
		return true
	})
}
