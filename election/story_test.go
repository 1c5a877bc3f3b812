package election

import (
	"testing"

	"github.com/arc-ring/arc/ring"
)

// Most often the promises end before a monitor has missed enough probes, and the new
// leader has noticed the silence by itself. A monitor that says so before the
// declaration is named all the same, if it means this leadership.
func TestADeclarationNamesTheMonitorThatSawTheSilence(t *testing.T) {
	const term, old, self, watcher = 7, 1, 2, 3
	for name, c := range map[string]struct {
		lost, says ring.Evidence
		in         uint64
		by         uint64
	}{
		"no monitor says anything":      {ring.Silent, "", 0, self},
		"a monitor says the same":       {ring.Silent, ring.Silent, term, watcher},
		"a monitor says it of a former": {ring.Silent, ring.Silent, term - 1, self},
		"something else is known":       {ring.BornAgain, ring.Silent, term, self},
	} {
		t.Run(name, func(t *testing.T) {
			n := assemble(Config{ID: self}, &ring.State{Term: term, LeaderID: old}, 0)
			n.recorder.led = loss{token: term, verdict: verdict{evidence: c.lost, by: self}}
			if c.says != "" {
				n.roster.peers.Ensure(old).suspect = &suspect{Opinion: ring.Opinion{ID: old, Term: c.in, By: watcher, Word: ring.Suspect{Evidence: c.says}}, at: 1}
			}
			d := &ring.Declare{Evict: []ring.Evict{{ID: old, Evidence: ring.Silent, By: self}}}
			n.recorder.explain(d, old)
			if d.By != c.by || c.lost == ring.Silent && d.Evict[0].By != c.by {
				t.Errorf("seen by %d, evicted by %d, want %d", d.By, d.Evict[0].By, c.by)
			}
		})
	}
}

// What a declaration says of the old leader's end goes to the history, to the
// list of those who departed and to watchers: it must be the same.
func TestADeclarationTellsOneStory(t *testing.T) {
	const term, old, by, other = 7, 1, 2, 3
	for name, c := range map[string]struct {
		lost         verdict
		evict        ring.Evict
		history, out ring.Evidence
		historyBy    uint64
	}{
		"what was known at first is better": {verdict{evidence: ring.Refused, by: by, incarnation: 10},
			ring.Evict{Incarnation: 10, Evidence: ring.Silent, By: other}, ring.Refused, ring.Refused, by},
		"what is known at last is better": {verdict{evidence: ring.Silent, by: by, incarnation: 10},
			ring.Evict{Incarnation: 10, Evidence: ring.Refused, By: other}, ring.Refused, ring.Refused, other},
		"both know the same": {verdict{evidence: ring.Silent, by: by},
			ring.Evict{Incarnation: 10, Evidence: ring.Silent, By: other}, ring.Silent, ring.Silent, by},
		"the better word is of an earlier process": {verdict{evidence: ring.Refused, by: by, incarnation: 9},
			ring.Evict{Incarnation: 10, Evidence: ring.Silent, By: other}, ring.Refused, ring.Silent, by},
	} {
		t.Run(name, func(t *testing.T) {
			c.evict.ID = old
			n := assemble(Config{}, &ring.State{Term: term}, 0)
			n.recorder.led = loss{token: term, verdict: c.lost}
			d := &ring.Declare{Evict: []ring.Evict{c.evict}}
			n.recorder.explain(d, old)
			e := d.Evict[0]
			if d.Evidence != c.history || d.By != c.historyBy || e.Evidence != c.out {
				t.Errorf("history %s by %d, evicted %s by %d; want %s by %d and %s", d.Evidence, d.By, e.Evidence, e.By, c.history, c.historyBy, c.out)
			}
			if e.Evidence == d.Evidence && e.By != d.By {
				t.Errorf("the same evidence is by %d and by %d", d.By, e.By)
			}
		})
	}
}
