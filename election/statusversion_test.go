package election_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/arc-ring/arc/election"
)

// Whatever happens in the scenarios: a StatusVersion that stays the same stands for a
// Status that stays the same.
func TestLookTellsWhenTheStatusChanges(t *testing.T) {
	type seen struct {
		node    *election.Node
		version election.StatusVersion
		status  election.Status
	}
	same := 0
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		w := newWorld()
		last := map[string]seen{}
		check := func() {
			for name, nd := range w.nodes {
				if nd.n == nil || nd.stopped {
					continue
				}
				s := seen{nd.n, nd.n.StatusVersion(w.now), nd.n.Status(w.now)}
				if old := last[name]; old.node == s.node && old.version == s.version {
					same++
					if !reflect.DeepEqual(old.status, s.status) {
						t.Fatalf("%s at %v: the version stayed the same, the status went from\n%+v to\n%+v", name, w.now, old.status, s.status)
					}
				}
				last[name] = s
			}
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.out.Reset()
			if d.Cmd == "run" {
				dur, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				for end := w.now.Add(dur); w.now < end; check() {
					w.run(min(300*time.Microsecond, end.Sub(w.now)))
				}
			} else {
				_ = w.command(d) // what comes of it is another test's matter
			}
			check()
			return d.Expected
		})
	})
	if same == 0 {
		t.Error("no version was ever the same twice")
	}
}
