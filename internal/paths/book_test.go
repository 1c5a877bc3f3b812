package paths

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/arc-ring/arc/internal/mono"
)

// passes runs a book over rounds in which dead says which paths miss their check. Each
// of the peers is reached over each of the networks.
func passes(b *Book, now *mono.Instant, rounds, peers, networks int, dead func(round, peer, network int) bool) (said []string) {
	stood := map[string]bool{}
	for round := range rounds {
		var all []Check
		for peer := 1; peer <= peers; peer++ {
			for k := range networks {
				c := Check{Peer: uint64(peer), Address: fmt.Sprintf("10.0.%d.%d:7400", k, peer), Good: !dead(round, peer, k)}
				if stood[c.Address] = stood[c.Address] || c.Good; stood[c.Address] {
					c.Local = netip.AddrFrom4([4]byte{10, 0, byte(k), 9})
				}
				all = append(all, c)
			}
		}
		news, pause := b.Pass(*now, all)
		for _, n := range news {
			word := "down"
			if n.Up {
				word = "up"
			}
			said = append(said, fmt.Sprint(word, " ", n.Local, " ", n.Peers))
		}
		*now = now.Add(pause)
	}
	return said
}

func TestPathsAreToldOncePerNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		dead func(round, peer, network int) bool
		want string
	}{
		"nothing":                     {func(int, int, int) bool { return false }, ""},
		"one missed check":            {func(round, _, _ int) bool { return round == 5 }, ""},
		"one missed on one path":      {func(round, peer, k int) bool { return round == 5 && peer == 1 && k == 0 }, ""},
		"a network":                   {func(round, _, k int) bool { return round > 4 && k == 1 }, "down 10.0.1.9 [1 2 3]"},
		"a network and back":          {func(round, _, k int) bool { return round > 4 && round < 30 && k == 1 }, "down 10.0.1.9 [1 2 3]; up 10.0.1.9 [1 2 3]"},
		"a peer's cable":              {func(round, peer, k int) bool { return round > 4 && peer == 2 && k == 0 }, "down 10.0.0.9 [2]"},
		"both":                        {func(round, _, _ int) bool { return round > 4 }, ""},
		"a peer that stopped":         {func(round, peer, _ int) bool { return round > 4 && peer == 3 }, ""},
		"a network in two steps":      {func(round, peer, k int) bool { return k == 1 && (round > 4 || round == 4 && peer == 1) }, "down 10.0.1.9 [1 2 3]"},
		"a network that never was":    {func(_, _, k int) bool { return k == 1 }, ""},
		"two cables at two times":     {func(round, peer, k int) bool { return k == 1 && (peer == 1 && round > 4 || peer == 2 && round > 40) }, "down 10.0.1.9 [1]; down 10.0.1.9 [2]"},
		"back one after the other":    {func(round, peer, k int) bool { return k == 1 && round > 4 && round < 20+peer }, "down 10.0.1.9 [1 2 3]; up 10.0.1.9 [1 2 3]"},
		"one comes back much later":   {func(round, peer, k int) bool { return k == 1 && round > 4 && round < 20+peer/3*60 }, "down 10.0.1.9 [1 2 3]; up 10.0.1.9 [1 2]; up 10.0.1.9 [3]"},
		"every other check is missed": {func(round, _, k int) bool { return k == 0 && round > 4 && round < 40 && round%2 == 0 }, "down 10.0.0.9 [1 2 3]; up 10.0.0.9 [1 2 3]"},
	} {
		t.Run(name, func(t *testing.T) {
			var now mono.Instant = 1
			if got := strings.Join(passes(&Book{}, &now, 300, 3, 2, c.dead), "; "); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// On a network that loses half of the checks there is one word that it is down, and
// one that it is up when it loses none any more.
func TestALossyNetworkIsToldOnce(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var now mono.Instant = 1
		got := strings.Join(passes(&Book{}, &now, 400, 2, 2, func(round, _, k int) bool {
			return k == 1 && round > 4 && round < 200 && random.IntN(2) == 0
		}), "; ")
		if want := "down 10.0.1.9 [1 2]; up 10.0.1.9 [1 2]"; got != want {
			t.Errorf("seed %d: told %q, want %q", seed, got, want)
		}
	}
}

// Peers that are gone are forgotten, and so are addresses that a peer gave up.
func TestBookForgets(t *testing.T) {
	b := &Book{}
	var now mono.Instant = 1
	passes(b, &now, 3, 5, 2, func(int, int, int) bool { return false })
	passes(b, &now, 1, 1, 2, func(int, int, int) bool { return false })
	if len(b.paths) != 2 {
		t.Errorf("%d paths are remembered, want 2", len(b.paths))
	}
	passes(b, &now, 1, 1, 1, func(int, int, int) bool { return false })
	if len(b.paths) != 1 || b.paths[0].Address != "10.0.0.1:7400" {
		t.Errorf("%d paths are remembered, want the one of the address that is left", len(b.paths))
	}
}
