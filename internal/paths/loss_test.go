package paths

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

func TestLoss(t *testing.T) {
	for _, c := range []struct {
		name        string
		sent, again uint64
		unacked     bool
		want        Outcome
	}{
		{"nothing is sent", 0, 0, false, Good},
		{"nothing is lost", 60, 0, false, Good},
		{"a host stands still once", 60, 1, false, Good},
		{"the least that counts", 24, 4, false, Missed},
		{"a segment less", 24, 3, false, Good},
		{"a third", 60, 20, false, Missed},
		{"the only one", 2, 1, false, Missed},
		{"the check is not acknowledged", 60, 0, true, Missed},
	} {
		l := Loss{sent: 1000, again: 10}
		if got := l.Note(1000+c.sent, 10+c.again, !c.unacked); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
		late := uint64(0)
		if c.unacked {
			late = 1 // what the check lacked is sent again now, and counts once
		}
		if l.Note(1000+c.sent+1, 10+c.again+late, true) != Good {
			t.Errorf("%s: it counts twice", c.name)
		}
	}
	l := Loss{sent: 1000, again: 10}
	if l.Note(1001, 9, true) != Good {
		t.Error("what is known late to have arrived is missed")
	}
}

// A third of all segments is lost, in either direction. That is told soon of busy streams
// and of quiet ones, once, and as long as it lasts.
func TestAThirdIsLost(t *testing.T) {
	for kind, every := range map[string]time.Duration{"quiet": time.Hour, "lan": 50 * time.Millisecond, "fast": 15 * time.Millisecond, "realtime": time.Millisecond} {
		for seed := range uint64(500) {
			if told := toldOfLoss(t, rand.New(rand.NewPCG(seed, 1)), every); told == 0 || told > mono.Instant(20*time.Second) {
				t.Errorf("%s, seed %d: told at %v", kind, seed, told)
			}
		}
	}
}

// toldOfLoss returns when it is told that one of two paths is down that loses a third. A
// message is sent over it each so often, beside the checks.
func toldOfLoss(t *testing.T, chance *rand.Rand, every time.Duration) (told mono.Instant) {
	var loss Loss
	var b Book
	var now mono.Instant
	var sent, again uint64
	lost := func() bool { return chance.IntN(10) < 3 }
	check := func(peer uint64, address, card string, o Outcome) Check {
		return Check{Path: Path{Peer{ID: peer}, address}, On: Network{card, card}, Outcome: o}
	}
	pass := func(o Outcome) ([]News, time.Duration) {
		return b.Pass(now, []Check{
			check(2, "a", "eth0", Good), check(2, "b", "eth1", o), check(3, "c", "eth0", Good), check(3, "d", "eth1", Good),
		})
	}
	_, pause := pass(Good)
	for round := 0; now < mono.Instant(time.Minute); round++ {
		now = now.Add(pause)
		segments := 1
		if round%2 == 0 {
			segments = WholeSegments
		}
		// The kernel repeats a lone segment, or one whose acknowledgement is lost, after the
		// look.
		there, back := !lost(), !lost()
		late := every > pause && segments == 1 && !(there && back)
		for range segments + int(pause/every) {
			sent++
			for lost() {
				sent, again = sent+1, again+1
			}
		}
		var news []News
		news, pause = pass(loss.Note(sent, again, !late))
		for _, n := range news {
			if n.Word != Down || told != 0 {
				t.Errorf("%+v after %v, first told at %v", n, now, told)
			}
			told = now
		}
	}
	return told
}
