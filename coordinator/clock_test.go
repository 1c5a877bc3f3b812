package coordinator

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestAFoundingInThePastIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		name string
		now  time.Time
		want int
	}{
		{"1970", time.Unix(5, 0), 1},
		{"the day before", released().Add(-24 * time.Hour), 1},
		{"the day after", released().Add(24 * time.Hour), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			o := testOptions(t, "n1")
			o.Logger = hclog.New(&hclog.LoggerOptions{Output: &out})
			newNode(o).warnOfPast(c.now)
			if got := strings.Count(out.String(), "[WARN]"); got != c.want {
				t.Errorf("%d warnings, want %d: %s", got, c.want, out.String())
			}
		})
	}
}
