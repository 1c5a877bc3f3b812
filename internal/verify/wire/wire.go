package wire

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/verify"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Event takes an event from a watch stream, and when it was heard.
func Event(c *verify.Checker, stream string, heard time.Duration, ev *arcv1.Event) []verify.Violation {
	switch ev.GetType() {
	case "snapshot":
		c.Begins(stream, ev.GetTerm())
	case "claim_gained":
		// Since when is not known: it may have been lost again before it was heard.
		return c.Sample(verify.Sample{By: verify.Process{Name: ev.GetNode()}, Term: term(ev), Answered: heard})
	default:
		if ch, ok := change(ev); ok {
			return c.Change(stream, ch)
		}
	}
	return nil
}

// change is the committed change that an event tells, if it tells one.
func change(ev *arcv1.Event) (verify.Change, bool) {
	ch := verify.Change{Epoch: ev.GetEpoch(), Who: verify.Process{Name: ev.GetNode(), ID: number(ev, "id"), Incarnation: number(ev, "incarnation")}}
	switch ev.GetType() {
	case "joined":
		fields := ev.GetDetail().GetFields()
		ch.Kind, ch.Witness = verify.Joined, fields["witness"].GetBoolValue()
		return ch, !fields["returned"].GetBoolValue() // that is the same member, restarted
	case "left", "evicted":
		ch.Kind = verify.Removed
	case "leader_declared":
		ch.Kind, ch.Term = verify.Declared, term(ev)
		ch.After, ch.Why = Text(ev, "after"), Text(ev, "why")
		ch.Choice = choice(ch.Why)
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

// Text is a field of an event's detail.
func Text(ev *arcv1.Event, field string) string {
	return ev.GetDetail().GetFields()[field].GetStringValue()
}

// number is a field that is a uint64, which JSON has as a string; 0 if it has none.
func number(ev *arcv1.Event, field string) uint64 {
	n, _ := strconv.ParseUint(Text(ev, field), 10, 64)
	return n
}

// term is the token that an event is about, which may be older than the state in
// which it is told.
func term(ev *arcv1.Event) uint64 { return cmp.Or(number(ev, "term"), ev.GetTerm()) }
