package election_test

import (
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// unstick lets a node's disk write what has waited.
func (w *world) unstick(name string) {
	nd := w.nodes[name]
	waited := nd.unsaved
	nd.hangs, nd.unsaved = nil, nil
	for _, p := range waited {
		w.to(nd, func(now election.Instant) {
			nd.disk.save(p)
			nd.n.Persisted(now, p.Seq)
		})
	}
}

// anyWrite, and one that has a change of the configuration in it.
func anyWrite(election.Persist) bool { return true }

func changesConf(p election.Persist) bool {
	for _, e := range p.Entries {
		if e.GetType() != raftpb.EntryNormal {
			return true
		}
	}
	return false
}

// The leader's machine is lost, the heir's disk is stuck, and so is that of the
// one who wins in its place. The others have fast disks, and there is a leader
// within the bound.
func TestAWinnerWhoseDiskIsStuckLeavesNobodyWithoutALeader(t *testing.T) {
	for _, c := range []struct {
		name  string
		hangs func(election.Persist) bool
		led   []string // until the bound
	}{
		{"from its vote on", anyWrite, []string{"c", "f"}},        // it needs no disk of its own for a lease, and then hands over
		{"when it changes who votes", changesConf, []string{"f"}}, // the first that is able
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			s, err := ring.ProfileSettings("lan")
			if err != nil {
				t.Fatal(err)
			}
			w.form(t, s, 200*time.Millisecond, "a", "b", "c", "d", "e", "f", "g")
			w.run(2 * time.Second)
			w.nodes["b"].hangs = anyWrite
			changed := s
			changed.GraceMS++
			if _, err := w.request(election.Request{Settings: &changed}, time.Second); err != nil {
				t.Fatal(err)
			}
			w.nodes["c"].hangs = c.hangs
			w.kill("a", false, "")
			w.nodes["a"].gone = true
			var led []string
			for end := w.now.Add(s.FailoverBound(s.Assume())); w.now < end; w.run(time.Millisecond) {
				if got := w.claimant(t); got != "" && !slices.Contains(led, got) {
					led = append(led, got)
				}
			}
			if got := w.claimant(t); got != "f" || !slices.Equal(led, c.led) {
				t.Errorf("%q leads after the bound, and %v did until then, want f, and %v\n%s\n%s", got, led, c.led, w.out.String(), w.status())
			}
			w.unstick("b")
			w.unstick("c")
			w.run(5 * time.Second)
			leader := w.claimant(t)
			if _, kept := w.leader().n.State().Member(w.nodes["a"].id); leader == "" || kept {
				t.Errorf("%q leads at the end, want one who has evicted a\n%s\n%s", leader, w.out.String(), w.status())
			}
		})
	}
}

// A leader leaves, and the heir's disk is stuck: the next one leads, and the history
// says why it was not the heir.
func TestTheHistorySaysWhomAHandoverPassedOver(t *testing.T) {
	w := threeFormed(t)
	w.nodes["b"].hangs = anyWrite
	if _, err := w.request(election.Request{Settings: func() *ring.Settings { s := lan(t); s.GraceMS++; return &s }()}, time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(2 * lan(t).Lease()) // until b says so
	if _, err := w.request(election.Request{Handover: &election.Handover{Why: "a leaves"}}, 5*time.Second); err != nil {
		t.Fatalf("handover: %v\n%s", err, w.out.String())
	}
	w.run(time.Second)
	h := w.nodes["c"].n.State().History
	if got, want := h[len(h)-1].Why, "a leaves; b cannot lead: its disk does not finish a write"; got != want || w.claimant(t) != "c" {
		t.Errorf("%q leads, since %q, want c, since %q\n%s", w.claimant(t), got, want, w.out.String())
	}
}
