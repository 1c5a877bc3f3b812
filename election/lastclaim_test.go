package election

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// A member that never led and knows of no claim wins by the votes of members
// that were restarted. Any of them may have bound a leader until its restart, so
// the gap is not counted from before that.
func TestAGapIsNotOlderThanTheRestartOfThoseWhoVote(t *testing.T) {
	s := &ring.State{History: []ring.Leadership{{Term: 7, Name: "n3"}}, Settings: ring.Settings{LeaseMS: 500}}
	restarted := assemble(Config{ID: 2}, s, Instant(90*time.Second))
	restarted.recorder.lastClaim = lastClaim{possible: Instant(90*time.Second - 20*time.Millisecond)}
	vote := &raftpb.Message{Type: raftpb.MsgVoteResp.Enum(), From: new(uint64(2)), To: new(uint64(1))}
	restarted.recorder.attachClaim(vote)

	n := assemble(Config{ID: 1}, s, Instant(30*time.Second))
	n.born = Instant(10 * time.Second)
	n.leadership.lead = &leading{}
	n.recorder.learnClaim(vote)
	var d ring.Declare
	n.recorder.measureGap(&d)
	if !d.GapAtLeast || d.CertainGap != 20_000 || d.Gap != 520_000 {
		t.Errorf("gap %d µs, for certain %d µs, at least: %v; want 520000, 20000, true", d.Gap, d.CertainGap, d.GapAtLeast)
	}
}

// Two members campaign in turn while nobody can win, over a slow path. What they
// tell each other makes the newest claim no newer than one of them has seen it.
func TestAClaimThatIsToldAgainAndAgainAges(t *testing.T) {
	const way = 300 * time.Millisecond
	s := &ring.State{Term: 7, History: []ring.Leadership{{Term: 7, Name: "n3"}}, Settings: ring.Settings{LeaseMS: 500}}
	member := func(id uint64) *Node {
		n := assemble(Config{ID: id}, s, Instant(10*time.Second))
		n.leadership.lead = &leading{}
		return n
	}
	a, b := member(1), member(2)
	a.recorder.claimPromised(7, a.now.Add(500*time.Millisecond), a.now, true)
	began, pass := a.now, func(d time.Duration) { a.now, b.now = a.now.Add(d), b.now.Add(d) }
	term := uint64(7)
	for from, to := a, b; to.now < began.Add(10*time.Second); from, to = to, from {
		term++
		to.campaign.wishedTerm, to.campaign.wishedAt = term, to.now
		pass(way)
		vote := &raftpb.Message{Type: raftpb.MsgVoteResp.Enum(), From: new(from.cfg.ID), To: new(to.cfg.ID), Term: new(term)}
		from.recorder.attachClaim(vote)
		pass(way)
		to.recorder.learnClaim(vote)
	}
	for _, n := range []*Node{a, b} {
		var d ring.Declare
		n.recorder.measureGap(&d)
		if gap, is := time.Duration(d.Gap)*time.Microsecond, n.now.Sub(began); gap < is || gap > is+way || d.GapAtLeast {
			t.Errorf("member %d: gap %v, at least: %v; it was %v, and a vote is asked for %v before", n.cfg.ID, gap, d.GapAtLeast, is, way)
		}
	}
}

// What a winner hears of a claim was made at some moment between its question and the
// answer. Its sender may have been stopped in between, after it measured.
func TestAWordThatComesLateMakesNoClaimNewer(t *testing.T) {
	const late = 9 * time.Second
	s := &ring.State{Term: 7, History: []ring.Leadership{{Term: 7, Name: "n3"}}, Settings: ring.Settings{LeaseMS: 500}}
	for _, c := range []struct {
		kind  raftpb.MessageType
		term  uint64
		asked func(*Node)
	}{
		{raftpb.MsgVoteResp, 8, func(n *Node) {
			n.now = n.now.Add(-time.Second)
			n.campaign.voteAsked(&raftpb.Message{Type: raftpb.MsgPreVote.Enum(), Term: new(uint64(8))})
			n.now = n.now.Add(time.Second)
			n.campaign.voteAsked(&raftpb.Message{Type: raftpb.MsgVote.Enum(), Term: new(uint64(8))})
		}},
		{raftpb.MsgTimeoutNow, 7, func(n *Node) {
			n.offers.offer = offer{from: 3, term: 7, since: n.now - 1, open: true}
			n.conf = &raftpb.ConfState{Voters: []uint64{1, 3}}
			n.offers.offerRule()
		}},
	} {
		n := assemble(Config{ID: 1}, s, Instant(30*time.Second))
		n.leadership.lead = &leading{}
		c.asked(n)
		sender := assemble(Config{ID: 3}, s, Instant(90*time.Second))
		ended := sender.now.Add(-100 * time.Millisecond)
		sender.recorder.lastClaim = lastClaim{proven: ended, provenTerm: 7, possible: ended, possibleTerm: 7, newest: 7}
		m := &raftpb.Message{Type: c.kind.Enum(), From: new(uint64(3)), To: new(uint64(1)), Term: new(c.term)}
		sender.recorder.attachClaim(m)
		n.now = n.now.Add(late)
		n.recorder.learnClaim(m)
		var d ring.Declare
		n.recorder.measureGap(&d)
		if want := (late + 100*time.Millisecond).Microseconds(); d.Gap != want || d.CertainGap != 100_000 {
			t.Errorf("%v: gap %d µs, for certain %d µs; want %d, 100000", c.kind, d.Gap, d.CertainGap, want)
		}
	}
}

// A member is asked twice to take over. Its first answer suffices, and it stands still
// before it reads the second question and the word to take over.
func TestAQuestionThatComesLateMakesNoClaimNewer(t *testing.T) {
	const late = 9 * time.Second
	s := &ring.State{Term: 7, History: []ring.Leadership{{Term: 7, Name: "n3"}}, Settings: ring.Settings{LeaseMS: 500}}
	n := assemble(Config{ID: 1}, s, Instant(30*time.Second))
	n.term = 7
	n.raftLead = 3
	n.conf = &raftpb.ConfState{Voters: []uint64{1, 3}}
	question := Takeover{Term: 7}
	n.offers.takeoverOffered(3, question)
	sender := assemble(Config{ID: 3}, s, Instant(90*time.Second))
	sender.recorder.claimPromised(7, sender.now, sender.now, true)
	m := &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: new(uint64(3)), To: new(uint64(1)), Term: new(uint64(7))}
	sender.recorder.attachClaim(m)
	n.now = n.now.Add(late)
	n.offers.takeoverOffered(3, question)
	n.recorder.learnClaim(m)
	if gap := n.now.Sub(n.recorder.newestClaim().proven); gap < late {
		t.Errorf("the last claim is taken to be %v ago, it was %v", gap, late)
	}
}

// A vote in a term that is over may come very late, and elects nobody.
func TestALateVoteInAFormerTermSaysNothing(t *testing.T) {
	s := &ring.State{Term: 7, History: []ring.Leadership{{Term: 7, Name: "n3"}}, Settings: ring.Settings{LeaseMS: 500}}
	n := assemble(Config{ID: 1}, s, Instant(30*time.Second))
	n.leadership.lead = &leading{}
	n.campaign.voteAsked(&raftpb.Message{Type: raftpb.MsgVote.Enum(), Term: new(uint64(9))})
	voter := assemble(Config{ID: 3}, s, Instant(90*time.Second))
	voter.recorder.claimPromised(7, voter.now, voter.now, true)
	vote := &raftpb.Message{Type: raftpb.MsgVoteResp.Enum(), From: new(uint64(3)), To: new(uint64(1)), Term: new(uint64(8))}
	voter.recorder.attachClaim(vote)
	n.recorder.learnClaim(vote)
	if n.recorder.toldClaim != (lastClaim{}) {
		t.Errorf("it has learned %+v", n.recorder.toldClaim)
	}
}

// A winner has the certificate of a leader's former process, and it or a voter may
// have promised to a later leader since, of whose claim it knows nothing.
func TestACertificateSaysNothingOfALaterLeader(t *testing.T) {
	s := &ring.State{Term: 7, History: []ring.Leadership{{Term: 7, Name: "n3"}}, Settings: ring.Settings{LeaseMS: 500}}
	const now = 10 * time.Second
	for _, c := range []struct {
		name    string
		term    uint64 // of the promise
		certain time.Duration
	}{
		{"to the one that is certified dead", 7, 800 * time.Millisecond},
		{"to a later one", 8, 100 * time.Millisecond},
	} {
		promised := func(n *Node) {
			n.recorder.claimPromised(c.term, Instant(now-100*time.Millisecond), Instant(now-600*time.Millisecond), false)
		}
		restarted := func(n *Node) {
			n.recorder.lastClaim.possible, n.recorder.lastClaim.newest = Instant(now-100*time.Millisecond), c.term
		}
		for who, knows := range map[string]func(winner, voter *Node){
			"the winner promised":      func(winner, _ *Node) { promised(winner) },
			"a voter promised":         func(_, voter *Node) { promised(voter) },
			"a restarted voter did so": func(_, voter *Node) { restarted(voter) },
		} {
			n := assemble(Config{ID: 1}, s, Instant(now))
			n.leadership.lead = &leading{}
			n.recorder.led = loss{token: 7, at: Instant(now - 800*time.Millisecond), verdict: verdict{evidence: ring.Certified}}
			n.recorder.claimPromised(7, Instant(now-400*time.Millisecond), Instant(now-850*time.Millisecond), true)
			n.recorder.lastClaim.possible = Instant(now - 800*time.Millisecond) // it is certified dead
			voter := assemble(Config{ID: 2}, s, Instant(now))
			knows(n, voter)
			vote := &raftpb.Message{Type: raftpb.MsgVoteResp.Enum(), From: new(uint64(2)), To: new(uint64(1))}
			voter.recorder.attachClaim(vote)
			n.recorder.learnClaim(vote)
			var d ring.Declare
			n.recorder.measureGap(&d)
			if got := time.Duration(d.CertainGap) * time.Microsecond; got != c.certain {
				t.Errorf("%s %s: certain gap %v, want %v", who, c.name, got, c.certain)
			}
		}
	}
}
