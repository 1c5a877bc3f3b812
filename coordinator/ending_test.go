package coordinator

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// logBuffer takes the lines of a coordinator that runs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A coordinator says why it ends, and whether arc leave asked for it or a signal.
func TestTheEndIsExplained(t *testing.T) {
	logged := func(t *testing.T, change func(*Options), end func(*testNode)) string {
		log, o := &logBuffer{}, testOptions(t, "n1")
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: log})
		change(&o)
		n := start(t, o)
		end(n)
		n.reap()
		return log.String()
	}
	alone := func(o *Options) { o.Bootstrap = true }
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a leader is told to end": {
			logged(t, alone, func(n *testNode) { n.awaitLeader("n1", 1); n.cancel() }),
			[]string{`this coordinator is told to end: reason="context canceled" next="it hands over, leaves the ring and ends"`,
				`coordinator ends: reason="ended in order as a member: the ring stays on its disk: context canceled"`}},
		"one that looks for a ring is told to end": {
			logged(t, func(o *Options) { o.Join = []string{"127.0.0.1:1"} }, func(n *testNode) {
				n.await("it looks for a ring", func(st *arcv1.StatusResponse) bool { return st.GetPhase() == "joining" })
				n.cancel()
			}),
			[]string{`this coordinator is told to end: reason="context canceled" next="it ends"`,
				`coordinator ends: reason="stopped before it joined a ring: context canceled"`}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.text, want) {
				t.Errorf("%s: the log lacks %s:\n%s", name, want, c.text)
			}
		}
	}
}
