package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// The newest leader that a learner heard never declared itself, and speaks no
// more. Meanwhile the learner is evicted, and no word of that reaches it. A learner
// that follows a declared leader is at rest; this one asks, and learns it.
func TestALearnerOfACaretakerFindsOutThatItIsOut(t *testing.T) {
	w := newWorld()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	s.MaxVoters = 3
	w.form(t, s, 200*time.Millisecond, "a", "b", "c", "d")
	w.run(time.Second)
	b, d := w.nodes["b"], w.nodes["d"]
	term := d.n.Status(w.now).Term + 1
	for _, name := range []string{"a", "b", "c"} {
		w.cut[[2]string{name, "d"}], w.cut[[2]string{"d", name}] = true, true
	}
	w.to(d, func(now election.Instant) {
		d.n.Receive(now, election.Message{From: b.id, To: d.id, Incarnation: b.inc,
			Raft: &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(b.id), To: new(d.id), Term: new(term)}})
	})
	if _, err := w.request(election.Request{Evict: &ring.Evict{ID: d.id, Evidence: ring.Operator}}, time.Second); err != nil {
		t.Fatalf("evict d: %v\n%s", err, w.status())
	}
	w.run(time.Second)
	clear(w.cut)
	w.run(5 * time.Second)
	if d.up {
		t.Errorf("d does not know that it is out: %s\n%s\n%s", d.n.Status(w.now).Reason, w.out.String(), w.status())
	}
}
