package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// failover ends the leader, by its certificate or silently, and returns the
// token of the next one.
func failover(t *testing.T, w *world, certify bool) uint64 {
	t.Helper()
	old := w.leader()
	was := old.n.State().Term
	w.kill(old.name, certify, "")
	w.run(3 * time.Second)
	for _, name := range w.order {
		if term, _, ok := claimOf(w.nodes[name], w.now); ok && term > was {
			return term
		}
	}
	t.Fatalf("nobody claims after the loss of %s\n%s\n%s", old.name, w.out.String(), w.status())
	return 0
}

func lan(t *testing.T) ring.Settings {
	t.Helper()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokenIsAtLeastTheWallClock(t *testing.T) {
	const now = 1_800_000_000
	for _, c := range []struct {
		name     string
		clock    int64
		certify  bool
		min, max uint64
	}{
		{"after a certificate", now, true, now, now + 60},
		{"after silence", now, false, now, now + 60},
		{"clock in the past", 5, true, 1001, 1100},
		{"clock of 1969", -100, true, 1001, 1100},
		{"clock far ahead, still believed", 1 << 32 * 99 / 100, true, 1 << 32 * 99 / 100, 1<<32*99/100 + 60},
		{"clock too far ahead", 1<<32 + 1, true, 1001, 1100},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.form(t, lan(t), 100*time.Millisecond, "a", "b", "c", "d")
			w.clock = c.clock
			if got := failover(t, w, c.certify); got < c.min || got > c.max {
				t.Errorf("token %d, want %d to %d\n%s", got, c.min, c.max, w.out.String())
			}
		})
	}
}

// A ring of one issues a token alone, a handover by the leader's word.
func TestTokenOfAFounderAndOfAHandover(t *testing.T) {
	w := newWorld()
	w.clock = 1_800_000_000
	w.form(t, lan(t), 100*time.Millisecond, "a", "b", "c")
	first := w.leader().n.State().Term
	if first < 1_800_000_000 {
		t.Errorf("first token %d is below the wall clock", first)
	}
	w.clock += 1000
	if _, err := w.request(election.Request{Handover: &election.Handover{}}, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if got := w.leader().n.State().Term; got < 1_800_001_000 {
		t.Errorf("token %d after a handover is below the wall clock", got)
	}
}

// Raft's own next term may be just below the wall clock's.
func TestTokenIsAtLeastTheWallClockHoweverCloseItIs(t *testing.T) {
	for above := uint64(0); above < 6; above++ {
		w := newWorld()
		w.clock = 1_800_000_000
		w.form(t, lan(t), 100*time.Millisecond, "a", "b", "c")
		first := w.leader().n.State().Term
		want := first + above
		w.clock = int64(want) - int64(w.now.SinceOrigin()/time.Second)
		if _, err := w.request(election.Request{Handover: &election.Handover{}}, 2*time.Second); err != nil {
			t.Errorf("%d above: %v", above, err)
		}
		w.run(100 * time.Millisecond)
		if got := w.leader().n.State().Term; got < want || got == first {
			t.Errorf("token %d after %d, the wall clock said %d", got, first, want)
		}
	}
}

// All disks are restored from a backup together: what the ring issued since is
// not issued again.
func TestTokenIsNotIssuedTwiceAfterARestore(t *testing.T) {
	w := newWorld()
	w.clock = 1_800_000_000
	w.form(t, lan(t), 100*time.Millisecond, "a", "b", "c", "d")
	saved := map[string]disk{}
	for _, name := range w.order {
		saved[name] = w.nodes[name].disk.copy()
	}
	used := failover(t, w, true)
	for _, name := range w.order {
		w.nodes[name].up = false
	}
	w.run(5 * time.Second)
	for _, name := range w.order {
		w.nodes[name].disk = saved[name]
		w.restart(name)
	}
	w.run(3 * time.Second)
	l := w.leader()
	if l == nil {
		t.Fatalf("no leader after the restore\n%s", w.out.String())
	}
	if got := l.n.State().Term; got <= used {
		t.Errorf("token %d after the restore, %d was issued before", got, used)
	}
}

func TestTermThatCannotBe(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 100*time.Millisecond, "a", "b", "c")
	b := w.nodes["b"]
	term := b.n.Status(w.now).Term
	for _, typ := range []raftpb.MessageType{raftpb.MsgHeartbeat, raftpb.MsgApp, raftpb.MsgVote, raftpb.MsgHeartbeatResp} {
		m := &raftpb.Message{Type: typ.Enum(), From: new(uint64(1)), To: new(b.id), Term: new(uint64(election.MaxTerm + 1))}
		w.to(b, func(now election.Instant) {
			b.n.Receive(now, election.Message{From: 1, To: b.id, Incarnation: w.nodes["a"].inc, Raft: m})
		})
	}
	if got := b.n.Status(w.now).Term; got != term {
		t.Errorf("term %d after messages of impossible terms, was %d", got, term)
	}
	hard := &raftpb.HardState{Term: new(uint64(election.MaxTerm + 1)), Vote: new(uint64(0)), Commit: new(uint64(0))}
	if _, err := election.New(election.Config{ID: 1, Incarnation: 1, Rand: func() uint64 { return 0 }, Wall: func() int64 { return 0 }}, election.Recovered{HardState: hard}, 0); err == nil {
		t.Error("a recovered term that cannot be is accepted")
	}
}
