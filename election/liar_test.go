package election_test

import (
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// A member that does not lead says what only the leader of its term says: that its voters
// are free, or what they should have in their logs. It does so in its own name, or as
// another process of the leader. They stay bound to the leader, and refuse it.
func TestNobodyElseSpeaksAsTheLeader(t *testing.T) {
	type says = func(term uint64, leader, liar *node) election.Message
	raft := func(kind raftpb.MessageType) says {
		return func(term uint64, _, liar *node) election.Message {
			return election.Message{Raft: &raftpb.Message{Type: kind.Enum(), From: new(liar.id), To: new(uint64(2)), Term: new(term), Index: new(uint64(1)), LogTerm: new(uint64(1)), Commit: new(uint64(1))}}
		}
	}
	release := func(term, id, incarnation uint64) election.Message {
		return election.Message{Release: &election.Release{Term: term, Seq: 1 << 40, ID: id, Incarnation: incarnation}}
	}
	for name, word := range map[string]says{
		"a release in its own name":                  func(term uint64, _, liar *node) election.Message { return release(term, liar.id, liar.inc) },
		"a release as another process of the leader": func(term uint64, leader, _ *node) election.Message { return release(term, leader.id, 77777) },
		"a heartbeat":    raft(raftpb.MsgHeartbeat),
		"an append":      raft(raftpb.MsgApp),
		"an appointment": raft(raftpb.MsgTimeoutNow),
	} {
		t.Run(name, func(t *testing.T) {
			w := threeFormed(t)
			a, c := w.leader(), w.nodes["c"]
			w.split([]string{"a"}, []string{"c"}) // so that a's claim is b's promise
			for range 40 {
				w.say("c", "b", word(a.n.State().Term, a, c))
				if holes := w.holes(50 * time.Millisecond); len(holes) > 0 || w.claimant(t) != "a" {
					t.Fatalf("%q claims, nobody did at %v\n%s", w.claimant(t), holes, w.out.String())
				}
			}
			w.split([]string{"a"}, []string{"b"}) // a claims still, and b may not vote yet
			w.run(time.Second)
			w.nobodyElse(t)
			if !strings.Contains(w.out.String(), "refuses a message") {
				t.Error("nothing says that it was refused")
			}
		})
	}
}
