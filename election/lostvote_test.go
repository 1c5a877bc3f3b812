package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// A candidate has campaigned in vain for long, so it campaigns seldom. When others
// can be reached again, one message of its election is lost, or its answer: it asks
// again soon.
func TestALostVoteIsAskedForAgainSoon(t *testing.T) {
	for _, kind := range []raftpb.MessageType{raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgVote, raftpb.MsgVoteResp} {
		t.Run(kind.String(), func(t *testing.T) {
			w := threeFormed(t)
			w.run(time.Second)
			w.losesOnce(t, kind, "b", "c")
		})
	}
}

// The same holds where somebody has voted for another candidate, and the others are
// enough.
func TestALostVoteIsAskedForAgainAlthoughAnotherIsRefused(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), time.Second, "a", "b", "c", "d", "e")
	w.forge = func(m election.Message) *election.Message {
		if m.From == w.nodes["e"].id && m.Raft.GetType() == raftpb.MsgVoteResp {
			m.Raft.Reject = new(true)
		}
		return nil
	}
	w.losesOnce(t, raftpb.MsgVoteResp, "b", "c")
}

// losesOnce ends the leader a, lets b campaign in vain for long, and then loses the
// first message of a kind between b and another voter. It fails if b does not lead
// soon after that.
func (w *world) losesOnce(t *testing.T, kind raftpb.MessageType, b, voter string) {
	t.Helper()
	var reached bool
	var at election.Instant // when the message was lost
	w.drop = func(m election.Message) bool {
		from, to, is := w.name(m.From), w.name(m.To), m.Raft.GetType()
		if is == raftpb.MsgPreVoteResp && (!reached || to != b) {
			return true // so b hears the others all the time, and nobody else wins
		}
		if reached && at == 0 && is == kind && (from == voter || to == voter) {
			at = w.now
			return true
		}
		return false
	}
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	w.run(8 * time.Second)
	reached = true
	for end := w.now.Add(5 * time.Second); w.claimant(t) == "" && w.now < end; w.run(time.Millisecond) {
	}
	s := w.nodes[b].n.State().Settings
	soon := 2*s.Stagger() + 20*time.Millisecond
	if kind == raftpb.MsgPreVote || kind == raftpb.MsgPreVoteResp {
		soon = s.RenewEvery() + 20*time.Millisecond
	}
	if took := w.now.Sub(at); at == 0 || w.claimant(t) != b || took > soon {
		t.Errorf("%q leads %v after the loss at %v, want %s after %v\n%s", w.claimant(t), took, at, b, soon, w.out.String())
	}
}

// The other one of a pair has granted a pre-vote, and its process ends before it votes.
// The candidate need not wait for that vote.
func TestACandidateWhosePartnerIsCertifiedDeadGoesOnAlone(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 1200*time.Millisecond, "a", "b")
	w.split([]string{"a"}, []string{"b"})
	var died election.Instant
	w.drop = func(m election.Message) bool {
		if m.Raft.GetType() == raftpb.MsgPreVote && w.name(m.From) == "a" {
			return true // b is the candidate
		}
		if m.Raft.GetType() == raftpb.MsgVoteResp && w.name(m.From) == "a" {
			if died == 0 {
				died = w.now
				w.after(0, func() { w.kill("a", true, "") })
			}
			return true
		}
		return false
	}
	w.run(3 * time.Second)
	clear(w.cut)
	for end := w.now.Add(20 * time.Second); (died == 0 || w.claimant(t) != "b") && w.now < end; w.run(time.Millisecond) {
	}
	if took := w.now.Sub(died); died == 0 || w.claimant(t) != "b" || took > lan(t).Lease() {
		t.Errorf("%q leads %v after a's death at %v\n%s", w.claimant(t), took, died, w.out.String())
	}
}

// One of a pair has campaigned in vain for long. When it learns that the other one's
// process has ended, it does not wait for the turn that it had set itself.
func TestASurvivorThatCampaignedInVainGoesOnAloneSoon(t *testing.T) {
	for k := range time.Duration(8) {
		w := newWorld()
		w.form(t, lan(t), 1200*time.Millisecond, "a", "b")
		w.split([]string{"a"}, []string{"b"})
		w.run(5*time.Second + k*97*time.Millisecond)
		clear(w.cut)
		died := w.now
		w.kill("a", true, "")
		for end := w.now.Add(5 * time.Second); w.claimant(t) != "b" && w.now < end; w.run(time.Millisecond) {
		}
		if took := w.now.Sub(died); took > 4*lan(t).Stagger() {
			t.Errorf("%q leads %v after a's certificate", w.claimant(t), took)
		}
	}
}
