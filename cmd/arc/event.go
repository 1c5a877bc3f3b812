package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// eventDetail returns what an event says beyond its head, by the names of the
// contract.
func eventDetail(ev *arcv1.Event) (fields map[string]any, err error) {
	m := ev.ProtoReflect()
	d := m.WhichOneof(m.Descriptor().Oneofs().ByName("detail"))
	if d == nil {
		return nil, nil // a newer coordinator's
	}
	b, err := contractJSON.Marshal(m.Get(d).Message().Interface())
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	err = dec.Decode(&fields)
	if phases, has := fields["phases"]; has && phases == nil && ev.GetLeaderDeclared() == nil {
		delete(fields, "phases")
	}
	return fields, err
}

// eventJSON is an event as the contract has it: the keys of its detail are sorted.
func eventJSON(ev *arcv1.Event) ([]byte, error) {
	detail, err := eventDetail(ev)
	if err != nil {
		return nil, err
	}
	at, err := contractJSON.Marshal(ev.GetTime())
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err = enc.Encode(struct {
		Time   json.RawMessage `json:"time"`
		Epoch  string          `json:"epoch"`
		Term   string          `json:"term"`
		Type   string          `json:"type"`
		Node   string          `json:"node"`
		Detail map[string]any  `json:"detail"`
	}{at, number(ev.GetEpoch()), number(ev.GetTerm()), client.EventType(ev), ev.GetNode(), detail})
	return line.Bytes(), err
}

// eventText is an event for people, in one line.
func eventText(ev *arcv1.Event) string {
	return fmt.Sprintf("%s  %-15s  %-10s  token %d epoch %d%s",
		ev.GetTime().AsTime().Format("15:04:05.000Z"), client.EventType(ev), or(ev.GetNode()), ev.GetTerm(), ev.GetEpoch(), details(ev))
}

// details prints what an event says beyond its head. A snapshot's is a whole
// status, of which the essence is printed.
func details(ev *arcv1.Event) string {
	if st := ev.GetSnapshot(); st != nil {
		return snapshotEssence(st)
	}
	fields, err := eventDetail(ev)
	if err != nil {
		return fmt.Sprintf("  error=%q", err)
	}
	var b strings.Builder
	if p := cmp.Or(ev.GetLeaderDeclared().GetPhases(), ev.GetClaimGained().GetPhases()); p != nil {
		fmt.Fprintf(&b, "  phases=%q", phases(p))
	}
	if l := ev.GetLeaderDeclared(); l != nil && !l.GetClaimed() {
		// They end at the declaration; arc history has them up to the first claim.
		delete(fields, "gap_ms")
		delete(fields, "certain_gap_ms")
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if why := plain(fields[key]); key == "why" && (why == plain(fields["exit"]) || why == plain(fields["evidence"])) {
			continue // a certificate's reason is how the process exited, a suspicion's may be its evidence
		}
		if is, ok := fields[key].(bool); ok && !is {
			continue // what it is not goes without saying
		}
		if text := plain(fields[key]); text != "" && key != "term" && key != "name" && key != "phases" {
			fmt.Fprintf(&b, "  %s=%s", key, text)
		}
	}
	return b.String()
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if strings.ContainsAny(v, " \t\n") {
			return fmt.Sprintf("%q", v)
		}
		return v
	case json.Number:
		f, _ := v.Float64() // protojson wrote it from a number that fits
		return strconv.FormatFloat(f, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return strings.Join(ring.Each(v, plain), ",")
	default:
		return "…"
	}
}

func snapshotEssence(st *arcv1.StatusResponse) string {
	names := ring.Each(st.GetMembers(), (*arcv1.MemberStatus).GetName)
	return fmt.Sprintf("  leader=%s heir=%s members=%s", or(st.GetLeader().GetName()), or(st.GetHeir()), or(strings.Join(names, ",")))
}
