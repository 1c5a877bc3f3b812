package publish

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// A line says each thing once, and what is said elsewhere not at all.
func TestLogLines(t *testing.T) {
	for name, c := range map[string]struct {
		event *arcv1.Event
		want  string
	}{
		"the reason of a suspicion is its evidence": {
			&arcv1.Event{Node: "n2", Detail: &arcv1.Event_Suspected{Suspected: &arcv1.Suspicion{Evidence: "refused", By: "n1", Why: "refused"}}},
			`member suspected: peer=n2 epoch=3 term=7 reason=refused by=n1 why=""`},
		"a declaration does not say how long nobody led: that is not over": {
			&arcv1.Event{Node: "n2", Detail: &arcv1.Event_LeaderDeclared{LeaderDeclared: &arcv1.HistoryEntry{Why: "lowest id", After: "n1", Evidence: "silent", SeenBy: "n3", GapMs: 3.958}}},
			`leader declared: peer=n2 epoch=3 term=7 reason="lowest id" after=n1 evidence=silent by=n3`},
		"the first claim has the figures": {
			&arcv1.Event{Node: "n2", Detail: &arcv1.Event_ClaimGained{ClaimGained: &arcv1.Claim{Why: "declared", Phases: &arcv1.Phases{ElectedUs: 1800, DeclaredUs: 2500, FirstClaimUs: 2700}}}},
			`this node leads now: peer=n2 epoch=3 term=7 reason=declared elected-ms=1.8 declared-ms=2.5 claimed-ms=2.7`},
		"a claim that is back has none": {
			&arcv1.Event{Node: "n2", Detail: &arcv1.Event_ClaimGained{ClaimGained: &arcv1.Claim{Why: "declared"}}},
			`this node leads now: peer=n2 epoch=3 term=7 reason=declared`},
		"a relink is the monitor's to tell": {
			&arcv1.Event{Node: "n1", Detail: &arcv1.Event_Relinked{Relinked: &arcv1.Relinked{Target: "n2"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c.event.Epoch, c.event.Term = 3, 7
			LogEvent(hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true}), c.event)
			_, got, _ := strings.Cut(strings.TrimSpace(out.String()), "]  ")
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
