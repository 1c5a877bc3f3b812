package paths

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/arc-ring/arc/internal/mono"
)

// story runs a book over rounds in which check says what becomes of the check of a peer
// at one of its addresses. It returns what the book said.
type story struct {
	book Book
	now  mono.Instant
	// cards says on which card of this machine each network is; without it, each has one
	// of its own.
	cards []string
	stood map[Path]bool
	said  []string
	news  []News
}

func (s *story) run(rounds, peers, networks int, check func(round, peer, network int) Outcome) *story {
	s.now = max(s.now, 1)
	for round := range rounds {
		var all []Check
		for peer := 1; peer <= peers; peer++ {
			for k := range networks {
				c := Check{Path: pathTo(peer, k), Outcome: check(round, peer, k)}
				if s.stood == nil {
					s.stood = map[Path]bool{}
				}
				if s.stood[c.Path] = c.Outcome != Elsewhere && (c.Outcome == Good || s.stood[c.Path]); s.stood[c.Path] {
					c.On = Network{s.card(k), fmt.Sprintf("10.0.%d.0/24", k)}
				}
				if c.Outcome != unlisted {
					all = append(all, c)
				}
			}
		}
		news, pause := s.book.Pass(s.now, all)
		for _, n := range news {
			s.say(n)
		}
		s.now = s.now.Add(pause)
	}
	return s
}

// unlisted is a path that the book is told nothing of.
const unlisted Outcome = 99

func (s *story) say(n News) {
	var ids []uint64
	for _, p := range n.Peers() {
		ids = append(ids, p.ID)
	}
	s.said = append(s.said, fmt.Sprint(n.Word, " ", n.Card, " ", strings.Join(n.Networks, " and "), " ", ids))
	s.news = append(s.news, n)
}

func (s *story) card(network int) string {
	if s.cards == nil {
		return fmt.Sprint("eth", network)
	}
	return s.cards[network]
}

func (s *story) String() string {
	return strings.Join(s.said, "; ")
}

func pathTo(peer, network int) Path {
	return Path{Peer{uint64(peer), fmt.Sprint("n", peer)}, fmt.Sprintf("10.0.%d.%d:7400", network, peer)}
}

// missedIf makes an outcome of whether a path is dead.
func missedIf(dead func(round, peer, network int) bool) func(round, peer, network int) Outcome {
	return func(round, peer, network int) Outcome {
		if dead(round, peer, network) {
			return Missed
		}
		return Good
	}
}

func TestPathsAreToldOncePerNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		dead func(round, peer, network int) bool
		want string
	}{
		"nothing":                   {func(int, int, int) bool { return false }, ""},
		"one missed check":          {func(round, _, _ int) bool { return round == 5 }, ""},
		"one missed on one path":    {func(round, peer, k int) bool { return round == 5 && peer == 1 && k == 0 }, ""},
		"a network":                 {func(round, _, k int) bool { return round > 4 && k == 1 }, "down eth1 10.0.1.0/24 [1 2 3]"},
		"a network and back":        {func(round, _, k int) bool { return round > 4 && round < 30 && k == 1 }, "down eth1 10.0.1.0/24 [1 2 3]; up eth1 10.0.1.0/24 [1 2 3]"},
		"a peer's cable":            {func(round, peer, k int) bool { return round > 4 && peer == 2 && k == 0 }, "down eth0 10.0.0.0/24 [2]"},
		"both":                      {func(round, _, _ int) bool { return round > 4 }, ""},
		"a peer that stopped":       {func(round, peer, _ int) bool { return round > 4 && peer == 3 }, ""},
		"a network in two steps":    {func(round, peer, k int) bool { return k == 1 && (round > 4 || round == 4 && peer == 1) }, "down eth1 10.0.1.0/24 [1 2 3]"},
		"a network that never was":  {func(_, _, k int) bool { return k == 1 }, ""},
		"two cables at two times":   {func(round, peer, k int) bool { return k == 1 && (peer == 1 && round > 4 || peer == 2 && round > 40) }, "down eth1 10.0.1.0/24 [1]; down eth1 10.0.1.0/24 [2]"},
		"back one after the other":  {func(round, peer, k int) bool { return k == 1 && round > 4 && round < 20+peer }, "down eth1 10.0.1.0/24 [1 2 3]; up eth1 10.0.1.0/24 [1 2 3]"},
		"one comes back much later": {func(round, peer, k int) bool { return k == 1 && round > 4 && round < 20+peer/3*60 }, "down eth1 10.0.1.0/24 [1 2 3]; up eth1 10.0.1.0/24 [1 2]; up eth1 10.0.1.0/24 [3]"},
		"another cable for a while": {func(round, peer, k int) bool {
			return k == 1 && round > 4 && (peer == 1 || peer == 2 && round > 40 && round < 80)
		}, "down eth1 10.0.1.0/24 [1]"},
		"every other check is missed": {func(round, _, k int) bool { return k == 0 && round > 4 && round < 40 && round%2 == 0 }, "down eth0 10.0.0.0/24 [1 2 3]; up eth0 10.0.0.0/24 [1 2 3]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&story{}).run(300, 3, 2, missedIf(c.dead)).String(); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// A path that is told as down comes back over another card. Both words name the card that
// it was told of with.
func TestOneCardHasBothWords(t *testing.T) {
	s := (&story{}).run(40, 1, 2, missedIf(func(round, _, k int) bool { return k == 1 && round > 4 }))
	s.cards = []string{"eth0", "bond0"}
	s.run(100, 1, 2, missedIf(func(int, int, int) bool { return false }))
	if got, want := s.String(), "down eth1 10.0.1.0/24 [1]; up eth1 10.0.1.0/24 [1]"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// On a network that loses half of the checks there is one word that it is down, and
// one that it is up when it loses none any more.
func TestALossyNetworkIsToldOnce(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		got := (&story{}).run(400, 2, 2, missedIf(func(round, _, k int) bool {
			return k == 1 && round > 4 && round < 200 && random.IntN(2) == 0
		})).String()
		if want := "down eth1 10.0.1.0/24 [1 2]; up eth1 10.0.1.0/24 [1 2]"; got != want {
			t.Errorf("seed %d: told %q, want %q", seed, got, want)
		}
	}
}

// The streams of a network that has lost much come back five seconds apart. That is one
// word.
func TestStreamsThatComeBackApartAreToldOnce(t *testing.T) {
	got := new(story).run(200, 3, 2, missedIf(func(round, peer, k int) bool {
		return k == 1 && round >= 20 && round < 60+10*peer
	})).String()
	if want := "down eth1 10.0.1.0/24 [1 2 3]; up eth1 10.0.1.0/24 [1 2 3]"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// A path is told as up, and a moment later another one of its card as down. One check
// that was missed before the word up says nothing after it.
func TestWhatWasMissedBeforeThePathIsUpIsForgotten(t *testing.T) {
	before := 0
	for at := 40; at < 70; at++ {
		for missed := 40; missed < 90; missed++ {
			s, early := &story{}, false
			isUp := func() bool { return slices.ContainsFunc(s.news, func(n News) bool { return n.Word == Up }) }
			s.run(150, 2, 2, missedIf(func(round, peer, k int) bool {
				once := peer == 1 && round == missed
				early = early || once && !isUp()
				return k == 0 && (once || peer == 1 && round > 4 && round < 40 || peer == 2 && round >= at)
			}))
			if !early {
				continue
			}
			before++
			var words []Word
			for _, n := range s.news {
				if slices.Contains(n.Peers(), pathTo(1, 0).Peer) {
					words = append(words, n.Word)
				}
			}
			if !slices.Equal(words, []Word{Down, Up}) {
				t.Errorf("with peer 2 dead from pass %d on, and check %d of peer 1 missed: of peer 1 is told %v, want down and up: %s", at, missed, words, s)
			}
		}
	}
	if before == 0 {
		t.Error("no check was missed before the word up")
	}
}

// What is said of a card with an IPv4 and an IPv6 network, and of one of them.
func TestACardIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		dead func(round, peer, network int) bool
		want string
	}{
		"its cable":           {func(round, _, k int) bool { return k < 2 && round > 4 }, "down eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]"},
		"its cable and back":  {func(round, _, k int) bool { return k < 2 && round > 4 && round < 40 }, "down eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]; up eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]"},
		"one is back later":   {func(round, _, k int) bool { return k < 2 && round > 4 && round < 40+5*k }, "down eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]; up eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]"},
		"a peer's cable":      {func(round, peer, k int) bool { return peer == 2 && k < 2 && round > 4 }, "down eth0 10.0.0.0/24 and 10.0.1.0/24 [2]"},
		"one of its networks": {func(round, _, k int) bool { return k == 1 && round > 4 && round < 40 }, "down eth0 10.0.1.0/24 [1 2]; up eth0 10.0.1.0/24 [1 2]"},
		"the other card":      {func(round, _, k int) bool { return k == 2 && round > 4 && round < 40 }, "down eth1 10.0.2.0/24 [1 2]; up eth1 10.0.2.0/24 [1 2]"},
		"everything, in turns": {func(round, _, k int) bool {
			return k < 2 && round > 4 && round < 40 || k == 2 && round > 80 && round < 120
		}, "down eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]; up eth0 10.0.0.0/24 and 10.0.1.0/24 [1 2]; down eth1 10.0.2.0/24 [1 2]; up eth1 10.0.2.0/24 [1 2]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&story{cards: []string{"eth0", "eth0", "eth1"}}).run(300, 2, 3, missedIf(c.dead)).String(); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// Whatever becomes of a path that was told as down, that has an end.
func TestEveryDownHasAnEnd(t *testing.T) {
	const down = "down eth1 10.0.1.0/24 [1 2]; "
	for name, c := range map[string]struct {
		networks int
		// later is what becomes of the checks once network 1 was told as down.
		later func(round, peer, network int) Outcome
		want  string
	}{
		"all give the address up": {2, func(_, _, k int) Outcome {
			return [...]Outcome{Good, unlisted}[k]
		}, "gone eth1 10.0.1.0/24 [1 2]"},
		"one gives it up": {2, func(round, peer, k int) Outcome {
			return [...]Outcome{Good, [...]Outcome{1: unlisted, 2: Missed}[peer]}[k]
		}, "gone eth1 10.0.1.0/24 [1]"},
		"one gives it up, then the network is back": {2, func(round, peer, k int) Outcome {
			return [...]Outcome{Good, [...]Outcome{1: unlisted, 2: [...]Outcome{Missed, Good}[min(round/60, 1)]}[peer]}[k]
		}, "gone eth1 10.0.1.0/24 [1]; up eth1 10.0.1.0/24 [2]"},
		"given up for a moment": {2, func(round, _, k int) Outcome {
			return [...]Outcome{Good, [...]Outcome{unlisted, Good}[min(round, 1)]}[k]
		}, "up eth1 10.0.1.0/24 [1 2]"},
		"members go": {2, func(_, peer, k int) Outcome {
			return [...]Outcome{1: unlisted, 2: [...]Outcome{Good, Missed}[k]}[peer]
		}, "gone eth1 10.0.1.0/24 [1]"},
		"the other network fails too, and both are back": {2, func(round, _, _ int) Outcome {
			return [...]Outcome{Unchecked, Good}[min(round/20, 1)]
		}, "up eth1 10.0.1.0/24 [1 2]"},
		"the members start again, and the network is back later": {2, func(round, _, k int) Outcome {
			return [...][]Outcome{{Unchecked, Unchecked}, {Good, Missed}, {Good, Good}}[min(round/20, 2)][k]
		}, "up eth1 10.0.1.0/24 [1 2]"},
		"its addresses lead elsewhere": {2, func(_, _, k int) Outcome {
			return [...]Outcome{Good, Elsewhere}[k]
		}, "gone eth1 10.0.1.0/24 [1 2]"},
		"elsewhere, nowhere, and there again": {2, func(round, _, k int) Outcome {
			return [...][]Outcome{{Good, Elsewhere}, {Good, Missed}, {Good, Good}}[min(round/20, 2)][k]
		}, "gone eth1 10.0.1.0/24 [1 2]"},
		"a third network": {3, func(_, _, k int) Outcome {
			return [...]Outcome{Good, Good, Missed}[k]
		}, "down eth2 10.0.2.0/24 [1 2]; up eth1 10.0.1.0/24 [1 2]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&story{}).run(5, 2, c.networks, func(int, int, int) Outcome { return Good })
			s.run(20, 2, c.networks, missedIf(func(_, _, k int) bool { return k == 1 }))
			if got, want := s.run(200, 2, c.networks, c.later).String(), down+c.want; got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		})
	}
}

// Of an address that leads elsewhere nothing is said, whatever becomes of it, and the
// other networks are told of as without it.
func TestOneOfThreeNetworksLeadsElsewhere(t *testing.T) {
	got := (&story{}).run(400, 2, 3, func(round, _, k int) Outcome {
		switch {
		case k == 2:
			return [...]Outcome{Elsewhere, Missed, Unchecked}[round/20%3]
		case k == 1 && round > 100 && round < 200:
			return Missed
		}
		return Good
	}).String()
	if want := "down eth1 10.0.1.0/24 [1 2]; up eth1 10.0.1.0/24 [1 2]"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// A network that comes and goes faster than it counts as up again is told once, and one
// that has rests in between with each of its ends.
func TestANetworkThatFlaps(t *testing.T) {
	for name, c := range map[string]struct {
		up, down int // for how many rounds
		want     int // words, of 600 rounds
	}{
		"one round each": {1, 1, 1}, "three rounds each": {3, 3, 1}, "mostly up": {5, 2, 1}, "slowly": {60, 60, 10},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&story{}).run(605, 2, 2, missedIf(func(round, _, k int) bool {
				return k == 1 && round >= 5 && (round-5)%(c.up+c.down) < c.down
			}))
			if len(s.news) != c.want {
				t.Errorf("%d words, want %d: %s", len(s.news), c.want, s)
			}
		})
	}
}

// What is forgotten takes no memory: paths to peers that are gone, and addresses that a
// peer gave up.
func TestBookForgets(t *testing.T) {
	good := func(int, int, int) Outcome { return Good }
	s := (&story{}).run(3, 5, 2, good).run(1, 1, 2, good)
	if len(s.book.paths) != 2 {
		t.Errorf("%d paths are remembered, want 2", len(s.book.paths))
	}
	s.run(1, 1, 1, good)
	if len(s.book.paths) != 1 || s.book.paths[0].Address != "10.0.0.1:7400" {
		t.Errorf("%d paths are remembered, want the one of the address that is left", len(s.book.paths))
	}
	s.run(10, 1, 2, missedIf(func(_, _, k int) bool { return k == 0 })).run(20, 0, 0, nil)
	if len(s.book.paths) != 0 {
		t.Errorf("%d paths are remembered, want none: %s", len(s.book.paths), s)
	}
}
