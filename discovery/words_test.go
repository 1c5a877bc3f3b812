package discovery

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// restarted is a node of the same name that has only what was kept.
func restarted(t *testing.T, b *bench) *bench {
	again := newBench(t, b.self.Name, b.expect)
	again.now = b.now
	again.self.Incarnation = selfIncarnation + 1
	again.found.recall(b.found.list(), "FILE")
	again.startSeek(again.now)
	return again
}

// Of {a, n, x} the members a and x may have founded. If n came back without its
// word, b, n and z could found a second ring with as good a majority.
func TestARestartForgetsNoWord(t *testing.T) {
	b := newBench(t, "n", 3)
	b.startSeek(b.now)
	if ok, why := b.request("a", 1, "a", "n", "x"); !ok {
		t.Fatal(why)
	}
	b = restarted(t, b)
	if ok, why := b.request("b", 1, "b", "n", "z"); ok || !strings.Contains(why, "second ring") || !strings.Contains(why, "FILE") {
		t.Errorf("b was accepted: %v, %q", ok, why)
	}
	b.hears("y")
	b.hears("z")
	b.after(2 * durations.FounderDecides)
	if names := b.found.asking; names != nil {
		t.Errorf("n itself asks to found with %v", names.names)
	}
	// Again, and for good.
	b.after(10 * durations.FounderWord)
	b = restarted(t, b)
	if ok, _ := b.request("b", 1, "b", "n", "z"); ok {
		t.Error("the second restart forgot it")
	}
	// With x the first ring has no majority.
	if ok, why := b.request("b", 1, "b", "n", "x"); !ok {
		t.Errorf("refused with x: %s", why)
	}
}

func TestAWordThatCameToNothingBindsNobody(t *testing.T) {
	t.Run("the founder says so", func(t *testing.T) {
		b := newBench(t, "n", 3)
		b.startSeek(b.now)
		b.request("a", 1, "a", "n", "x")
		b = restarted(t, b)
		version := b.found.version
		b.answers("a", nil, nil)
		if len(b.found.list()) != 0 || b.found.version == version {
			t.Errorf("words %v, version %d as before: %v", b.found.list(), version, b.found.version == version)
		}
		if ok, why := b.request("b", 1, "b", "n", "z"); !ok {
			t.Errorf("b is refused: %s", why)
		}
	})
	t.Run("another process of the founder says so", func(t *testing.T) {
		b := newBench(t, "n", 3)
		b.startSeek(b.now)
		b.request("a", 2, "a", "n", "x")
		b = restarted(t, b)
		b.answers("a", nil, nil) // its incarnation is 1
		if len(b.found.list()) != 1 {
			t.Errorf("words %v, want the one to the other process", b.found.list())
		}
	})
	t.Run("the node is in a ring that has a leader", func(t *testing.T) {
		b := newBench(t, "n", 3)
		b.startSeek(b.now)
		b.request("a", 1, "a", "n", "x")
		version := b.found.version
		b.setRing(b.now, &discoveryv1.Ring{RingId: "r1"})
		if len(b.found.list()) != 1 || b.found.version != version {
			t.Errorf("words %v, want the one while the ring has no leader", b.found.list())
		}
		b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leader: "a"})
		if len(b.found.list()) != 0 || b.found.version == version {
			t.Errorf("words %v, version %d as before: %v", b.found.list(), version, b.found.version == version)
		}
	})
}

// A later word does not free from an earlier one.
func TestEveryWordBinds(t *testing.T) {
	b := newBench(t, "n", 3)
	b.startSeek(b.now)
	b.request("b", 1, "b", "n", "x")
	b.after(durations.FounderWord + time.Second)
	if ok, why := b.request("a", 1, "a", "n", "x"); !ok {
		t.Fatal(why)
	}
	b.after(durations.FounderWord + time.Second)
	// {b, x} may lead the first ring; of a's ring only x is left out.
	if ok, why := b.request("a", 2, "a", "n", "z"); ok || !strings.Contains(why, "b was accepted") {
		t.Errorf("accepted: %v, %q", ok, why)
	}
}

// A member of a ring that had no leader when it was cut off gives that ring up.
// The others may lead it, also if this node founded it.
func TestARingThatIsGivenUpBindsItsMembers(t *testing.T) {
	for what, enter := range map[string]func(*bench){
		"it accepted": func(b *bench) { b.request("a", 1, "a", "n", "x") },
		"it founded":  func(b *bench) { b.found.founds(b.now, b.self, []string{"n", "x", "y"}) },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, "n", 3)
			b.startSeek(b.now)
			enter(b)
			b.stopSeek(b.now)
			b.setRing(b.now, &discoveryv1.Ring{RingId: "r1"})
			b.after(30 * time.Second)
			b.setRing(b.now, &discoveryv1.Ring{})
			b.startSeek(b.now)
			if ok, why := b.request("b", 1, "b", "n", "z"); ok || !strings.Contains(why, "second ring") {
				t.Errorf("b was accepted: %v, %q", ok, why)
			}
			b.hears("z")
			b.hears("y")
			b.after(2 * durations.FounderDecides)
			if what == "it accepted" && b.found.asking != nil {
				t.Errorf("n asks to found with %v", b.found.asking.names)
			}
			if ok, why := b.request("b", 1, "b", "n", "x"); !ok {
				t.Errorf("refused with x, without whom there is no majority: %s", why)
			}
		})
	}
}

// No founder gets a word that a restart would forget.
func TestAWordIsKeptBeforeItIsGiven(t *testing.T) {
	h := newHouse(t)
	var mu sync.Mutex
	var kept [][]Word
	full := errors.New("disk full")
	fails := true
	s := h.start("n", func(o *Options) {
		o.Expect = 3
		o.Keep = func(words []Word) error {
			mu.Lock()
			defer mu.Unlock()
			if fails {
				return full
			}
			kept = append(kept, words)
			return nil
		}
	})
	req := &peerv1.AcceptFounderRequest{Cluster: "c", Founder: "a", Incarnation: 1, Addresses: []string{"127.0.0.1:1"}, Names: []string{"a", "n", "x"}, To: "n"}
	if ok, why, err := s.Accept(req); ok || err != nil || !strings.Contains(why, "disk full") {
		t.Errorf("accepted %v, %q, %v, although the word was not kept", ok, why, err)
	}
	mu.Lock()
	fails = false
	mu.Unlock()
	for range 2 {
		if ok, why, err := s.Accept(req); !ok || err != nil {
			t.Errorf("refused: %q, %v", why, err)
		}
	}
	s.SetRing(&discoveryv1.Ring{RingId: "r1", Leader: "a"})
	mu.Lock()
	defer mu.Unlock()
	if len(kept) != 2 || len(kept[0]) != 1 || kept[0][0].Founder != "a" || !slices.Equal(kept[0][0].Names, req.Names) || len(kept[1]) != 0 {
		t.Errorf("kept %v, want the word once, and then none", kept)
	}
}
