package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// Nobody watches c, whose machine is lost, and the member of another ring has
// its address now, with the same name and id. b, whom the leader asks to probe
// c, must not take the stranger for it.
func TestAWrongHolderDoesNotPassForAnInspectedMember(t *testing.T) {
	settings, err := ring.ProfileSettings(ring.DefaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.form(t, settings, 100*time.Millisecond, "a", "b", "c", "d", "e")
	c, probes := w.nodes["c"], 0
	stranger := []ring.Path{{Outcome: ring.PathAnswered, Answer: ring.Answer{
		Cluster: "elsewhere", RingID: "other", Name: "c", ID: c.id, Incarnation: 1}}}
	w.finds = func(p election.Probe) election.ProbeResult {
		if p.ID != c.id {
			t.Errorf("probes %d, which is not in doubt", p.ID)
		}
		probes++
		return p.Result(stranger)
	}
	c.up, c.gone = false, true
	w.run(3 * time.Second)
	if probes < 2 {
		t.Errorf("%d probes, want one of the member that is asked and one of the leader", probes)
	}
	if m, ok := w.nodes["a"].n.State().Member(c.id); ok {
		t.Errorf("%s is still a member: the stranger at its address passes for it", m.Name)
	}
}
