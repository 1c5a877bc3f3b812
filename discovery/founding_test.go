package discovery

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

func TestWhoMayFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		self   string
		expect int
		hears  func(b *bench)
		asks   []string // nobody: must not found
		reason string
	}{
		{"the lowest of as many as expected", "a", 3, func(b *bench) { b.hears("c"); b.hears("b") }, []string{"b", "c"}, ""},
		{"one is missing", "a", 3, func(b *bench) { b.hears("b") }, nil, "heard 2 of 3 names"},
		{"a name heard twice counts once", "a", 3, func(b *bench) { b.hears("b"); b.hears("b") }, nil, "heard 2 of 3"},
		{"not the lowest", "b", 3, func(b *bench) { b.hears("a"); b.hears("c") }, nil, "waiting for a to found"},
		{"the lowest of more than expected asks all", "a", 2, func(b *bench) {
			b.retryFor(time.Second)
			b.hears("b")
			b.hears("c")
			b.found.retryAt = time.Time{}
		}, []string{"b", "c"}, ""},
		{"another number expected", "a", 2, func(b *bench) { b.hears("b", expects(3)) }, nil, "heard 1 of 2"},
		{"a mere joiner", "a", 2, func(b *bench) { b.hears("b", expects(0)) }, nil, "heard 1 of 2"},
		{"a foreign cluster", "a", 2, func(b *bench) { b.hears("b", func(h *discoveryv1.Hello) { h.Cluster = "d" }) }, nil, "heard 1 of 2"},
		{"heard too long ago", "a", 3, func(b *bench) {
			b.hears("b")
			b.after(durations.NamePresent + time.Second)
			b.hears("c")
		}, nil, "heard 2 of 3"},
		{"a ring was heard", "a", 2, func(b *bench) { b.hears("z", inRing("r1")); b.hears("b") }, nil, "ring r1 was heard from z"},
		{"a ring that is long gone", "a", 2, func(b *bench) {
			b.hears("z", inRing("r1"))
			b.after(durations.RingPresent + time.Second)
			b.hears("b")
		}, []string{"b"}, ""},
		{"accepted another", "b", 2, func(b *bench) {
			b.request("a", 1, "a", "b")
			b.hears("c")
		}, nil, "accepted a as the founder"},
		{"two coordinators with one name", "a", 2, func(b *bench) {
			b.retryFor(4 * time.Second)
			b.hears("b", incarnation(1))
			b.hears("b", incarnation(2))
			b.after(2 * time.Second)
			b.hears("b", incarnation(1))
			b.found.retryAt = time.Time{}
		}, nil, "two running coordinators have the name b"},
		{"a restarted node is no conflict", "a", 2, func(b *bench) {
			b.retryFor(4 * time.Second)
			b.hears("b", incarnation(1))
			b.after(2 * time.Second)
			b.hears("b", incarnation(2))
			b.found.retryAt = time.Time{}
		}, []string{"b"}, ""},
		{"the lowest that is no witness", "b", 3, func(b *bench) { b.hears("a", witness); b.hears("c") }, []string{"a", "c"}, ""},
		{"not the lowest that is no witness", "c", 3, func(b *bench) { b.hears("a", witness); b.hears("b") }, nil, "waiting for b to found"},
		{"a witness", "a", 3, func(b *bench) { b.self.Witness = true; b.hears("b"); b.hears("c") }, nil, "waiting for b to found"},
		{"witnesses alone", "a", 2, func(b *bench) { b.self.Witness = true; b.hears("b", witness) }, nil, "all 2 names are witnesses"},
		{"alone, but listens first", "a", 1, func(b *bench) { b.after(60 * time.Millisecond) }, nil, "listening for a ring first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.self, c.expect)
			b.startSeek(b.now)
			c.hears(b)
			out := b.tick(b.now)
			if b.found.asking == nil {
				if len(c.asks) > 0 {
					t.Fatalf("asks nobody (%s), want %v", b.whyNotFounding(b.now), c.asks)
				}
				if why := b.whyNotFounding(b.now); !strings.Contains(why, c.reason) {
					t.Errorf("reason %q, want %q", why, c.reason)
				}
				return
			}
			if got := b.found.asking.names[1:]; !slices.Equal(got, c.asks) {
				t.Errorf("asks %v, want %v (%v)", got, c.asks, askedNames(out))
			}
		})
	}
}

// retryFor keeps the core from asking for a while.
func (b *bench) retryFor(d time.Duration) { b.found.retryAt = b.now.Add(d) }

func TestAloneFoundsAfterItListened(t *testing.T) {
	b := newBench(t, "a", 1)
	b.startSeek(b.now)
	out := of[finish](b.after(time.Second))
	if len(out) != 1 || !out[0].found.Founder {
		t.Fatalf("finished %+v, want the founder alone", out)
	}
}

func TestWhomANodeAccepts(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  func(b *bench)
		founder string
		names   []string
		refusal string // empty: accepts
	}{
		{"the lowest of enough names", nil, "a", []string{"a", "b", "c"}, ""},
		{"more names than expected", nil, "a", []string{"a", "b", "c", "d"}, ""},
		{"the same founder again", func(b *bench) { b.request("a", 1, "a", "b", "c") }, "a", []string{"a", "b", "c"}, ""},
		{"before it looks for a ring", func(b *bench) { b.stopSeek(b.now) }, "a", []string{"a", "b", "c"}, ""},
		{"too few names", nil, "a", []string{"a", "b"}, "2 names are fewer than the 3"},
		{"the same name twice", nil, "a", []string{"a", "b", "b"}, "2 names are fewer than the 3"},
		{"not its own name", nil, "a", []string{"a", "c", "d"}, "b is not among the names"},
		{"not the founder's name", nil, "a", []string{"b", "c", "d"}, "a is not among its names"},
		{"not the lowest of its names", nil, "c", []string{"b", "c", "d"}, "c is not the lowest"},
		{"a lower name was heard", func(b *bench) { b.hears("0") }, "a", []string{"a", "b", "c"}, "heard 0, whose name is lower"},
		{"a lower name that expects another number", func(b *bench) { b.hears("0", expects(5)) }, "a", []string{"a", "b", "c"}, ""},
		{"a lower witness was heard", func(b *bench) { b.hears("0", witness) }, "a", []string{"0", "a", "b"}, ""},
		{"a lower name that was not heard here", nil, "a", []string{"0", "a", "b"}, ""},
		{"itself a witness with a lower name", func(b *bench) { b.self.Witness = true }, "c", []string{"b", "c", "d"}, ""},
		{"of a witness", func(b *bench) { b.hears("a", witness) }, "a", []string{"a", "b", "c"}, "a is a witness"},
		{"another was accepted", func(b *bench) { b.request("0", 1, "0", "b", "c") }, "a", []string{"a", "b", "c"}, "accepted 0"},
		{"an older start of it was accepted", func(b *bench) { b.request("a", 7, "a", "b", "c") }, "a", []string{"a", "b", "c"}, "accepted a (incarnation 7)"},
		{"the word has lapsed", func(b *bench) { b.request("0", 1, "0", "b", "c"); b.after(durations.FounderWord) }, "a", []string{"a", "b", "c"}, ""},
		{"the word was prolonged", func(b *bench) {
			b.request("0", 1, "0", "b", "c")
			b.after(durations.FounderWord - time.Second)
			b.hears("0", hasAccepted("0", 1))
			b.after(2 * time.Second)
		}, "a", []string{"a", "b", "c"}, "accepted 0"},
		{"a hello does not release", func(b *bench) {
			b.request("0", 1, "0", "b", "c")
			b.hears("0")
		}, "a", []string{"a", "b", "c"}, "accepted 0"},
		{"in a ring", func(b *bench) { b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leader: "z"}) }, "a", []string{"a", "b", "c"}, `in ring r1, led by "z"`},
		{"a ring was heard", func(b *bench) { b.hears("z", inRing("r1")) }, "a", []string{"a", "b", "c"}, "heard ring r1 from z"},
		{"its own name", nil, "b", []string{"b", "c", "d"}, `the name "b" is in use`},
		{"unprintable", nil, "a\n", []string{"a\n", "b", "c"}, "does not print"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "b", 3)
			b.startSeek(b.now)
			if c.before != nil {
				c.before(b)
			}
			ok, reason := b.request(c.founder, 1, c.names...)
			if ok != (c.refusal == "") || !strings.Contains(reason, c.refusal) {
				t.Errorf("accepted %v, reason %q, want refusal %q", ok, reason, c.refusal)
			}
		})
	}
	t.Run("itself", func(t *testing.T) {
		b := newBench(t, "b", 3)
		if ok, reason := b.request("b", selfIncarnation, "b", "c", "d"); ok || !strings.Contains(reason, "asked by itself") {
			t.Errorf("accepted %v, reason %q", ok, reason)
		}
	})
	t.Run("asked in another's place", func(t *testing.T) {
		b := newBench(t, "b", 3)
		req := &peerv1.AcceptFounderRequest{Cluster: "c", Founder: "a", Incarnation: 1, Addresses: []string{"a:1"}, Names: []string{"a", "b", "c"}, To: "c"}
		if ok, _, err := b.accept(b.now, req); ok || !errors.Is(err, ErrOtherNode) || b.found.word != nil {
			t.Errorf("accepted %v, error %v, word %v; want ErrOtherNode", ok, err, b.found.word)
		}
		req.To = ""
		if ok, reason, err := b.accept(b.now, req); !ok || err != nil {
			t.Errorf("a request that names nobody: %v %q, %v", ok, reason, err)
		}
	})
	t.Run("started without expect", func(t *testing.T) {
		b := newBench(t, "b", 0)
		if ok, reason := b.request("a", 1, "a", "b", "c"); ok || !strings.Contains(reason, "without --expect") {
			t.Errorf("accepted %v, reason %q", ok, reason)
		}
	})
	t.Run("decided to found itself", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		b.asked(b.now, 1, "d", 1, true, "", nil)
		if ok, reason := b.request("a", 1, "a", "b", "c"); ok || !strings.Contains(reason, "founding the ring itself") {
			t.Errorf("accepted %v, reason %q", ok, reason)
		}
	})
}

// candidate is b, which expects 3 and asks c and d.
func candidate(t *testing.T) *bench {
	b := newBench(t, "b", 3)
	b.startSeek(b.now)
	b.hears("c")
	if got := askedNames(b.hears("d")); !slices.Equal(got, []string{"c", "d"}) {
		t.Fatalf("asks %v, want c and d", got)
	}
	return b
}

func TestCandidacy(t *testing.T) {
	isFounder := func(out []effect) bool {
		f := of[finish](out)
		return len(f) == 1 && f[0].found.Founder && slices.Equal(f[0].found.Names, []string{"b", "c", "d"}) && len(f[0].found.Others) == 2
	}
	t.Run("founds when all have accepted", func(t *testing.T) {
		b := candidate(t)
		if out := b.asked(b.now, 1, "c", 1, true, "", nil); len(of[finish](out)) > 0 {
			t.Error("founds before d has accepted")
		}
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); !isFounder(out) {
			t.Errorf("got %+v, want the founder of b, c, d", out)
		}
	})
	t.Run("asks again who did not answer", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		b.asked(b.now, 1, "d", 1, false, "", errors.New("refused"))
		if got := askedNames(b.after(time.Second)); len(got) == 0 || got[0] != "d" {
			t.Fatalf("asks %v again, want d", got)
		}
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); !isFounder(out) {
			t.Error("does not found after the second try")
		}
	})
	t.Run("gives up at a refusal and tries again later", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, false, "accepted a", nil)
		if b.found.asking != nil || b.foundingState().Accepted != "" {
			t.Error("still asking")
		}
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); len(of[finish](out)) > 0 {
			t.Error("an answer to what was given up counts")
		}
		b.after(time.Second)
		if b.found.asking == nil || b.found.asking.round != 2 {
			t.Error("does not try again")
		}
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); b.found.asking.targets[1].accepted {
			t.Errorf("a late answer to an earlier round counts: %v", out)
		}
	})
	t.Run("gives up when it accepts a lower one", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		if ok, reason := b.request("a", 1, "a", "b", "c"); !ok {
			t.Fatal(reason)
		}
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); len(of[finish](out)) > 0 {
			t.Error("founds although it has accepted a")
		}
	})
	t.Run("gives up when a ring is heard", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		b.hears("z", inRing("r1"))
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); len(of[finish](out)) > 0 {
			t.Error("founds although there is a ring")
		}
	})
	t.Run("asks a restarted node again", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		if got := of[ask](b.hears("c", incarnation(2))); len(got) != 1 || got[0].node.Incarnation != 2 {
			t.Errorf("asks %+v, want the new c", got)
		}
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); len(of[finish](out)) > 0 {
			t.Error("counts the word of a start that is over")
		}
	})
	t.Run("does not decide after the words may have lapsed", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		b.now = b.now.Add(durations.FounderDecides)
		if out := b.asked(b.now, 1, "d", 1, true, "", nil); len(of[finish](out)) > 0 {
			t.Error("founds too late")
		}
	})
	t.Run("keeps saying that it founds until the ring is there", func(t *testing.T) {
		b := candidate(t)
		b.asked(b.now, 1, "c", 1, true, "", nil)
		b.asked(b.now, 1, "d", 1, true, "", nil)
		hellos := of[sendHello](b.after(durations.FounderWord))
		if len(hellos) < 5 {
			t.Errorf("%d hellos in %s, the others' words would lapse", len(hellos), durations.FounderWord)
		}
		for _, h := range hellos {
			if h.hello.Founding.GetAccepted() != "b" || h.hello.Attempt != 0 {
				t.Fatalf("hello %v, want one that says b founds and asks for no answer", h.hello)
			}
		}
		// Those who accepted it wait: it has no leader before they are there.
		if early := of[sendHello](b.setRing(b.now, &discoveryv1.Ring{RingId: "r1"})); len(early) != 1 || early[0].hello.Ring.GetRingId() != "r1" {
			t.Errorf("announced %v, want the ring without a leader", early)
		}
		announced := of[sendHello](b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true}))
		announced = append(announced, of[sendHello](b.setRing(b.now, &discoveryv1.Ring{RingId: "r1", Leads: true}))...)
		if len(announced) != 1 || !announced[0].hello.Ring.GetLeads() || announced[0].hello.Founding != nil {
			t.Errorf("announced %v, want the ring", announced)
		}
	})
}

// A word is given back early only by a founder who, asked after it was given,
// says that it is not at it.
func TestReleaseOfAWord(t *testing.T) {
	idle := &discoveryv1.Founding{Expect: 3}
	for _, c := range []struct {
		name    string
		answer  func(b *bench, old uint64)
		release bool
	}{
		{"says that it gave up", func(b *bench, _ uint64) { b.answers("a", idle, nil) }, true},
		{"says that it accepted another", func(b *bench, _ uint64) {
			b.answers("a", &discoveryv1.Founding{Expect: 3, Accepted: "0", AcceptedIncarnation: 1}, nil)
		}, true},
		{"says that it is at it", func(b *bench, _ uint64) {
			b.answers("a", &discoveryv1.Founding{Expect: 3, Accepted: "a", AcceptedIncarnation: 1}, nil)
		}, false},
		{"answers an older hello", func(b *bench, old uint64) { b.answersTo(old, "a", idle, nil) }, false},
		{"answers no hello of ours", func(b *bench, _ uint64) { b.answersTo(42, "a", idle, nil) }, false},
		{"somebody else says so", func(b *bench, _ uint64) { b.answers("c", idle, nil) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "b", 3)
			b.startSeek(b.now)
			old := b.nonces[0].value
			b.request("a", 1, "a", "b", "c")
			b.after(60 * time.Millisecond)
			if len(b.nonces) < 2 {
				t.Fatal("said no second hello")
			}
			c.answer(b, old)
			if (b.found.word == nil) != c.release {
				t.Errorf("word %+v, want release: %v", b.found.word, c.release)
			}
		})
	}
	t.Run("refusing another asks the holder at once", func(t *testing.T) {
		b := newBench(t, "b", 3)
		b.startSeek(b.now)
		b.request("a", 1, "a", "b", "c")
		b.after(500 * time.Millisecond)
		b.request("0", 1, "0", "b", "c")
		if hellos := of[sendHello](b.after(durations.SeekLeast)); len(hellos) != 1 || hellos[0].hello.Founding.GetAccepted() != "a" {
			t.Errorf("hellos %v, want one that names the word", hellos)
		}
	})
}

// Who was accepted and fell silent may have founded. The next founder needs
// so many of its names that the first ring can have no leader.
func TestASilentFounderBindsItsAcceptors(t *testing.T) {
	w := &word{Word: Word{Founder: "a", Incarnation: 1, Names: []string{"a", "b", "c", "d"}}}
	for names, want := range map[string]bool{"bcd": true, "cd": true, "d": false, "cdxyz": true, "dxyz": false} {
		if got := w.leaderlessWithout(strings.Split(names, "")); got != want {
			t.Errorf("with %s elsewhere, the ring of %v can have no leader: %v, want %v", names, w.Names, got, want)
		}
	}
	f := &founding{words: words{bounds: []*word{w}}}
	if f.blocked(time.Now(), &discoveryv1.Node{Name: "b", Incarnation: 1}, []string{"b", "x", "y"}) == "" {
		t.Error("b may found with one of four")
	}
	if why := f.blocked(time.Now(), &discoveryv1.Node{Name: "b", Incarnation: 1}, []string{"b", "c", "d"}); why != "" {
		t.Errorf("b may not found with three of four: %s", why)
	}
	if why := f.blocked(time.Now(), &discoveryv1.Node{Name: "a", Incarnation: 1}, []string{"a", "x"}); why != "" {
		t.Errorf("a itself is bound by its own founding: %s", why)
	}
	if f.blocked(time.Now(), &discoveryv1.Node{Name: "a", Incarnation: 2}, []string{"a", "x"}) == "" {
		t.Error("a may found again when it has lost its disk, although b, c and d may have its ring")
	}
}
