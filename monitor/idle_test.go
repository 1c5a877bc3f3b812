package monitor

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/monitor/detector"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// A monitor collects no garbage while a failover may be under way: a link has come, or a
// stream has ended.
func TestAMonitorThatIsNeededIsNotIdle(t *testing.T) {
	for what, stir := range map[string]func(*monitor, mono.Instant) error{
		"a link": func(m *monitor, now mono.Instant) error {
			return m.take(now, received{link: &localv1.Link{Self: &localv1.Target{Id: 1, Incarnation: 7}}})
		},
		"the end of a stream": func(m *monitor, now mono.Instant) error {
			p := &path{conn: policy.New(policy.Rules{}, nil)}
			m.streamDown(now, &attempt{neighbour: &neighbour{}, path: p, cancel: func(error) {}}, errors.New("it broke"), false)
			return nil
		},
	} {
		m := &monitor{o: Options{Logger: hclog.NewNullLogger()}, watch: detector.NewWatch(1), link: &localv1.Link{}}
		if !m.idle() {
			t.Error("nothing has happened, and it is not idle")
		}
		// A moment to come, so that a slow test does not pass it.
		if err := stir(m, monotime.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if m.idle() {
			t.Errorf("%s, and it is idle", what)
		}
		if m.stir(monotime.Now().Add(-durations.Idle)); !m.idle() {
			t.Errorf("%s was long ago, and it is not idle", what)
		}
	}
}
