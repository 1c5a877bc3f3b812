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
