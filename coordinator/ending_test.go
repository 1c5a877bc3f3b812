package coordinator

import (
	"bytes"
	"fmt"
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

// Ids and incarnations are decimal in the log too, as in the status and on the monitor's
// command line.
func TestTheLogHasDecimalNumbers(t *testing.T) {
	log, o := &logBuffer{}, testOptions(t, "n1")
	o.Logger, o.Bootstrap = hclog.New(&hclog.LoggerOptions{Output: log}), true
	n := start(t, o)
	n.n.hello()
	st := n.awaitLeader("n1", 1)
	if want := fmt.Sprintf(" incarnation=%d", st.GetMembers()[0].GetIncarnation()); !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks%s:\n%s", want, log.String())
	}
	var text bytes.Buffer
	raft := raftLog{hclog.New(&hclog.LoggerOptions{Output: &text, Level: hclog.Trace})}
	raft.Infof("%x became follower at term %d", uint64(2018), 7)
	raft.Debugf("%x paused sending to %x", uint64(2018), uint64(2019))
	raft.Warningf("%x is unpromotable", uint64(2020))
	for _, want := range []string{`text="2018 became follower at term 7"`, `text="2018 paused sending to 2019"`, `text="2020 is unpromotable"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("raft's log lacks %s:\n%s", want, text.String())
		}
	}
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
