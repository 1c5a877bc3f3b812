package loop

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/ring"
)

// No declaration is told twice: that a leader which was told as lost is known
// again, with the same token, is said by a snapshot.
func TestALeaderThatIsKnownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{state: &ring.State{RingID: "r", Term: 1, LeaderID: 1, Members: []ring.Member{{ID: 1, Name: "n1"}}}}
		var turns []func()
		for _, term := range []uint64{1, 0, 0, 1, 1, 0} {
			turns = append(turns, func() { c.term = term })
		}
		if got, want := toldAfter(t, c, turns...), []string{"leader_lost 1", "snapshot 1", "leader_lost 1"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// That a leader is lost is told with the cause, and not with whom the ring waits for.
func TestALossIsToldWithItsCause(t *testing.T) {
	for lost, want := range map[string]string{"n1 hands over": "n1 hands over", "": "no leader known"} {
		synctest.Test(t, func(t *testing.T) {
			c := &fakeCore{term: 1, state: &ring.State{RingID: "r", Term: 1, LeaderID: 1, Members: []ring.Member{{ID: 1, Name: "n1"}}}}
			l := testLoop(c, &fakeStore{})
			l.Begin()
			w, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = l.Run() }()
			_ = l.inbox.post(func(election.Instant) { c.term, c.lost = 0, lost })
			synctest.Wait()
			l.Stop()
			<-l.life.Done()
			l.o.Hub.Close()
			if e, err := w.Next(t.Context()); err != nil || e.GetLeaderLost().GetWhy() != want {
				t.Errorf("told %v (%v), want that the leader is lost: %q", e, err, want)
			}
		})
	}
}

// Who is heard comes and goes while nobody leads: that is logged once, and again when the
// ring waits the next time.
func TestWhomTheRingWaitsForIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &fakeCore{}
		l := testLoop(c, &fakeStore{})
		l.o.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
		l.Begin()
		go func() { _ = l.Run() }()
		for _, missing := range []string{"needs n2", "", "needs n2", "needs n3", "needs n2", "led", "needs n2"} {
			_ = l.inbox.post(func(election.Instant) {
				if c.term, c.missing = 0, missing; missing == "led" {
					c.term, c.missing = 1, ""
				}
			})
			synctest.Wait()
		}
		l.Stop()
		<-l.life.Done()
		var said []string
		for line := range strings.Lines(log.String()) {
			if _, reason, ok := strings.Cut(strings.TrimSpace(line), "too few of its voters are there: ring=r reason="); ok {
				said = append(said, strings.Trim(reason, `"`))
			}
		}
		if want := []string{"needs n2", "needs n3", "needs n2"}; !slices.Equal(said, want) {
			t.Errorf("logged %q, want %q", said, want)
		}
	})
}

// What is logged of new settings is what changed; those of a ring that was not known are
// no change.
func TestChangedSettingsAreLoggedByName(t *testing.T) {
	lan, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	custom := lan
	custom.Profile, custom.LeaseMS, custom.LeaderGrants = "custom", 300, true
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &fakeCore{state: &ring.State{}}
		l := testLoop(c, &fakeStore{})
		l.o.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
		l.Begin()
		go func() { _ = l.Run() }()
		for epoch, s := range []ring.Settings{lan, custom, custom} {
			_ = l.inbox.post(func(election.Instant) {
				c.state = &ring.State{RingID: "r", Epoch: uint64(epoch), Settings: s}
				c.emit(election.Applied{Changes: []ring.Change{{Kind: ring.SettingsChanged}}, State: c.state})
			})
			synctest.Wait()
		}
		l.Stop()
		<-l.life.Done()
		var said []string
		for line := range strings.Lines(log.String()) {
			if _, what, ok := strings.Cut(strings.TrimSpace(line), "settings changed: "); ok {
				said = append(said, what)
			}
		}
		if want := []string{`epoch=1 profile="lan → custom" lease_ms="500 → 300" leader_grants="false → true"`}; !slices.Equal(said, want) {
			t.Errorf("logged %q, want %q", said, want)
		}
	})
}

// Somebody began to watch in a moment without proof, and was told that nobody leads.
// The loop prolongs the proof without having seen that it had run out.
func TestAWatcherOfAMomentWithoutProofIsToldOfTheLeader(t *testing.T) {
	c := &fakeCore{term: 1, leaderEnd: mono.Instant(1500 * time.Millisecond)} // the clock begins at one second
	c.state = &ring.State{RingID: "r", Epoch: 1, Term: 1, Members: []ring.Member{{ID: 1, Name: "n1"}}}
	synctest.Test(t, func(t *testing.T) {
		l := testLoop(c, &fakeStore{})
		l.Begin()
		go func() { _ = l.Run() }()
		turn := func() { _ = l.inbox.post(func(election.Instant) {}); synctest.Wait() }
		turn()
		testwait.Virtual(600 * time.Millisecond)
		w, v, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		if !v.Lapsed(l.o.Clock()) {
			t.Error("the view knows a leader although the proof has run out")
		}
		l.o.Hub.Unsure.Store(true) // as its stream does
		c.leaderEnd = 0
		turn()
		turn()
		l.Stop()
		<-l.life.Done()
		l.o.Hub.Close()
		if got, want := heard(w), []string{"snapshot 1"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// toldAfter returns what a watcher from the start hears of turns in which these
// are done, one each.
func toldAfter(t *testing.T, c *fakeCore, turns ...func()) []string {
	t.Helper()
	l := testLoop(c, &fakeStore{})
	l.Begin()
	w, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Run() }()
	for _, do := range turns {
		_ = l.inbox.post(func(election.Instant) { do() })
		synctest.Wait()
	}
	l.Stop()
	<-l.life.Done()
	l.o.Hub.Close()
	return heard(w)
}
