package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/verify"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Event takes an event from a watch stream, and when it was heard.
func Event(c *verify.Checker, stream string, heard time.Duration, ev *arcv1.Event) []verify.Violation {
	switch d := ev.GetDetail().(type) {
	case *arcv1.Event_Snapshot:
		c.Begins(stream, ev.GetTerm())
	case *arcv1.Event_ClaimGained:
		// Since when is not known: it may have been lost again before it was heard.
		return c.Sample(verify.Sample{By: verify.Process{Name: ev.GetNode()}, Term: d.ClaimGained.GetTerm(), Answered: heard})
	default:
		if ch, ok := change(ev); ok {
			return c.Change(stream, ch)
		}
	}
	return nil
}

// change is the committed change that an event tells, if it tells one.
func change(ev *arcv1.Event) (verify.Change, bool) {
	ch := verify.Change{Epoch: ev.GetEpoch(), Who: verify.Process{Name: ev.GetNode()}}
	switch d := ev.GetDetail().(type) {
	case *arcv1.Event_Joined:
		j := d.Joined
		ch.Kind, ch.Who.ID, ch.Who.Incarnation, ch.Witness = verify.Joined, j.GetId(), j.GetIncarnation(), j.GetWitness()
		return ch, !j.GetReturned() // that is the same member, restarted
	case *arcv1.Event_Left:
		ch.Kind, ch.Who.ID = verify.Removed, d.Left.GetId()
	case *arcv1.Event_Evicted:
		ch.Kind, ch.Who.ID, ch.Who.Incarnation = verify.Removed, d.Evicted.GetId(), d.Evicted.GetIncarnation()
	case *arcv1.Event_LeaderDeclared:
		l := d.LeaderDeclared
		ch.Kind, ch.Who.ID, ch.Term = verify.Declared, l.GetId(), l.GetTerm()
		ch.After, ch.Why, ch.Choice = l.GetAfter(), l.GetWhy(), choice(l.GetWhy())
	default:
		return ch, false
	}
	return ch, true
}

// Why the history does not decide: an operator named somebody, somebody joined in
// order to lead, or the heir answers and yet cannot take over.
var appointments = []string{"handover", "handed over", "asked to lead", "did not take over", "cannot lead", "does not answer when it is asked to lead"}

func choice(why string) verify.Choice {
	switch {
	case slices.ContainsFunc(appointments, func(words string) bool { return strings.Contains(why, words) }):
		return verify.ByAppointment
	case strings.Contains(why, "leaves"):
		return verify.ByLeaver
	}
	return verify.ByRule
}

// History takes what a member remembers of all leaderships.
func History(c *verify.Checker, by string, h *arcv1.HistoryResponse) []verify.Violation {
	stream := "history of " + by
	c.Begins(stream, 0)
	var found []verify.Violation
	for _, e := range h.GetEntries() {
		found = append(found, c.Declared(stream, verify.Process{Name: e.GetName(), ID: e.GetId()}, e.GetTerm())...)
	}
	return found
}

// Heir is who must lead after the declared leader by the members and the history
// that a member tells; suspects do not count. "" is nobody.
func Heir(st *arcv1.StatusResponse, h *arcv1.HistoryResponse) string {
	r := verify.Ring{Led: map[string]uint64{}}
	for _, e := range h.GetEntries() {
		r.Led[e.GetName()] = e.GetTerm()
	}
	for _, m := range st.GetMembers() {
		if m.GetAlive() && m.GetId() != st.GetLeader().GetId() {
			r.Join(verify.Member{Process: verify.Process{Name: m.GetName(), ID: m.GetId()}, Witness: m.GetWitness()})
		}
	}
	heir, _ := r.Heir(nil)
	return heir.Name
}
