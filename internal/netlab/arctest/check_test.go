package arctest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"google.golang.org/protobuf/types/known/structpb"
)

// changes returns the committed changes of the ring that the events tell, each
// once, in log order. All nodes tell the same changes, but one that got a
// snapshot instead of the log tells old ones at the snapshot's epoch: so the
// lowest epoch at which a change was told is its own.
func changes(events []heard) []*arcv1.Event {
	type key struct {
		gone bool
		node string
		id   string
		term uint64
	}
	first := map[key]*arcv1.Event{}
	var order []key
	for _, h := range events {
		e := h.event
		k := key{node: e.Node, id: text(e, "id")}
		switch e.Type {
		case "joined":
			if e.Detail.GetFields()["returned"].GetBoolValue() {
				continue // the same member, restarted
			}
		case "left", "evicted":
			k.gone = true
		case "leader_declared":
			k.term = declaredTerm(e)
		default:
			continue
		}
		if known, ok := first[k]; !ok {
			order = append(order, k)
			first[k] = e
		} else if e.Epoch < known.Epoch {
			first[k] = e
		}
	}
	var list []*arcv1.Event
	for _, k := range order {
		list = append(list, first[k])
	}
	// A declaration is the last change of its epoch.
	slices.SortStableFunc(list, func(a, b *arcv1.Event) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(declaredTerm(a), declaredTerm(b)))
	})
	return list
}

// declaredTerm is the token of a declaration, 0 for other events.
func declaredTerm(e *arcv1.Event) uint64 {
	if e.Type != "leader_declared" {
		return 0
	}
	if term, err := strconv.ParseUint(text(e, "term"), 10, 64); err == nil {
		return term
	}
	return e.Term
}

// checkTerms is G1 as seen from outside: all nodes tell the same leader for a
// term, and terms rise along the log.
func checkTerms(events []heard) []string {
	var wrong []string
	leaders := map[uint64]string{}
	last := &arcv1.Event{}
	for _, e := range changes(events) {
		term := declaredTerm(e)
		if term == 0 {
			continue
		}
		if known, ok := leaders[term]; ok && known != e.Node {
			wrong = append(wrong, fmt.Sprintf("G1: term %d was declared by %s and by %s", term, known, e.Node))
		}
		leaders[term] = e.Node
		if term < declaredTerm(last) {
			wrong = append(wrong, fmt.Sprintf("G1: term %d was declared at epoch %d, term %d at epoch %d", term, e.Epoch, declaredTerm(last), last.Epoch))
		}
		last = e
	}
	return wrong
}

// checkClaims is G2 as seen from outside: once a leader of a term was seen
// claiming, nobody of a lower term claims any more.
func checkClaims(samples []sample) []string {
	var wrong []string
	claims := slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return !s.claiming })
	byAnswer := slices.SortedFunc(slices.Values(claims), func(a, b sample) int { return a.answered.Compare(b.answered) })
	slices.SortFunc(claims, func(a, b sample) int { return a.asked.Compare(b.asked) })
	var newest sample
	for _, s := range claims {
		for len(byAnswer) > 0 && byAnswer[0].answered.Before(s.asked) {
			if byAnswer[0].term > newest.term || newest.node == "" {
				newest = byAnswer[0]
			}
			byAnswer = byAnswer[1:]
		}
		if newest.node != "" && (s.term < newest.term || s.term == newest.term && s.node != newest.node) {
			wrong = append(wrong, fmt.Sprintf("G2: %s claimed in term %d %v after %s claimed in term %d",
				s.node, s.term, s.asked.Sub(newest.answered), newest.node, newest.term))
		}
	}
	return wrong
}

// checkHeirs is G3: replays the committed changes and compares every declared
// leader with the heir of that point.
func checkHeirs(events []heard) []string {
	var wrong []string
	// Empty: the tests record from the founding on.
	ring := &replay{members: map[string]replayMember{}, led: map[string]uint64{}}
	for _, e := range changes(events) {
		if complaint := ring.apply(e); complaint != "" {
			wrong = append(wrong, fmt.Sprintf("epoch %d: %s", e.Epoch, complaint))
		}
	}
	return wrong
}

// replay is the ring as the events tell it.
type replay struct {
	members map[string]replayMember
	led     map[string]uint64
}

type replayMember struct {
	id      uint64
	since   uint64 // epoch of its join
	witness bool
}

func (r *replay) apply(e *arcv1.Event) string {
	switch e.Type {
	case "joined":
		id, _ := strconv.ParseUint(text(e, "id"), 10, 64)
		r.members[e.Node] = replayMember{id: id, since: e.Epoch, witness: e.Detail.GetFields()["witness"].GetBoolValue()}
	case "left", "evicted":
		delete(r.members, e.Node)
	case "leader_declared":
		defer func() { r.led[e.Node] = declaredTerm(e) }()
		id, _ := strconv.ParseUint(text(e, "id"), 10, 64)
		if _, ok := r.members[e.Node]; !ok {
			// The founder joined before anybody could watch.
			r.members[e.Node] = replayMember{id: id}
		}
		if r.members[e.Node].witness {
			return fmt.Sprintf("G3: %s leads and is a witness", e.Node)
		}
		why := text(e, "why")
		if appointed(why) {
			return ""
		}
		heirs := []string{r.heir("", e.Epoch)}
		if strings.Contains(why, "leaves") {
			// The one that leaves named it a moment before, when who joins
			// just now was not there or could not lead yet.
			heirs = []string{r.heir(text(e, "after"), e.Epoch), r.heir(text(e, "after"), e.Epoch-3)}
		}
		if !slices.Contains(heirs, e.Node) {
			return fmt.Sprintf("G3: %s declared itself (%q), the heir among %s is %s", e.Node, why, r, heirs[0])
		}
	}
	return ""
}

// appointed tells from the reason whether somebody was named by an operator,
// joined in order to lead, or was appointed by the log because the heir answers
// and yet cannot take over: then the history does not decide.
func appointed(why string) bool {
	for _, word := range []string{"handover", "handed over", "asked to lead", "did not take over", "cannot lead", "does not answer when it is asked to lead"} {
		if strings.Contains(why, word) {
			return true
		}
	}
	return false
}

// heir is who must lead, with one name left out, and whoever joined after the
// epoch.
func (r *replay) heir(without string, epoch uint64) string {
	best := ""
	for name, m := range r.members {
		if m.witness || name == without || m.since > epoch {
			continue
		}
		b := r.members[best]
		if best == "" || r.led[name] > r.led[best] || r.led[name] == r.led[best] && m.id < b.id {
			best = name
		}
	}
	return best
}

func (r *replay) String() string {
	var parts []string
	for name, m := range r.members {
		parts = append(parts, fmt.Sprintf("%s (id %d, led in %d)", name, m.id, r.led[name]))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// text is a field of the event's detail.
func text(e *arcv1.Event, key string) string {
	return e.GetDetail().GetFields()[key].GetStringValue()
}

// The checks themselves have to bite.
func TestChecksFindWhatIsWrong(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	claim := func(node string, term uint64, asked, answered int) sample {
		return sample{node: node, term: term, asked: at(asked), answered: at(answered), claiming: true}
	}
	event := func(epoch, term uint64, kind, node string, id uint64) heard {
		detail, err := structpb.NewStruct(map[string]any{"id": fmt.Sprint(id), "why": "because"})
		if err != nil {
			t.Fatal(err)
		}
		return heard{event: &arcv1.Event{Epoch: epoch, Term: term, Type: kind, Node: node, Detail: detail}}
	}
	for name, c := range map[string]struct {
		got  []string
		want int
	}{
		"claims in turn":                  {checkClaims([]sample{claim("a", 5, 0, 1), claim("b", 6, 2, 3)}), 0},
		"claims whose order is not known": {checkClaims([]sample{claim("a", 5, 0, 5), claim("b", 6, 2, 3)}), 0},
		"a claim after a later one":       {checkClaims([]sample{claim("b", 6, 0, 1), claim("a", 5, 2, 3)}), 1},
		"two claims in one term":          {checkClaims([]sample{claim("b", 6, 0, 1), claim("a", 6, 2, 3)}), 1},
		"terms in order":                  {checkTerms([]heard{event(2, 5, "leader_declared", "a", 1), event(3, 6, "leader_declared", "b", 2)}), 0},
		"a term twice":                    {checkTerms([]heard{event(2, 5, "leader_declared", "a", 1), event(3, 5, "leader_declared", "b", 2)}), 1},
		"a term that falls":               {checkTerms([]heard{event(2, 5, "leader_declared", "a", 1), event(3, 4, "leader_declared", "b", 2)}), 1},
		"the heir leads": {checkHeirs([]heard{
			event(1, 0, "joined", "a", 1), event(2, 5, "leader_declared", "a", 1), event(3, 5, "joined", "b", 2), event(4, 5, "joined", "c", 3),
			event(5, 6, "evicted", "a", 1), event(5, 6, "leader_declared", "b", 2)}), 0},
		"another than the heir leads": {checkHeirs([]heard{
			event(1, 0, "joined", "a", 1), event(2, 5, "leader_declared", "a", 1), event(3, 5, "joined", "b", 2), event(4, 5, "joined", "c", 3),
			event(5, 6, "evicted", "a", 1), event(5, 6, "leader_declared", "c", 3)}), 1},
	} {
		if len(c.got) != c.want {
			t.Errorf("%s: got %q, want %d complaints", name, c.got, c.want)
		}
	}
}
