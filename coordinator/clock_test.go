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

// A founder is warned, and a joiner is not.
func TestTheFounderIsWarnedOfThePast(t *testing.T) {
	was := releasedAfter
	t.Cleanup(func() { releasedAfter = was }) // when the nodes have ended
	releasedAfter = time.Now().Add(time.Hour)
	var logs [2]bytes.Buffer
	node := func(i int, o Options) *testNode {
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: &logs[i]})
		n := start(t, o)
		n.awaitLeader("n1", i+1)
		return n
	}
	o := testOptions(t, "n1")
	o.Bootstrap = true
	n1 := node(0, o)
	o = testOptions(t, "n2")
	o.Join = []string{n1.address()}
	n2 := node(1, o)
	n2.crash()
	n1.crash()
	for i, want := range []int{1, 0} {
		if got := strings.Count(logs[i].String(), "the clock of this machine is wrong"); got != want {
			t.Errorf("n%d warned %d times, want %d:\n%s", i+1, got, want, logs[i].String())
		}
	}
}
