package paths

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// chance is what becomes of the checks in a world of random outages: of paths, of whole
// networks, of peers, and of what is listed.
type chance struct {
	*rand.Rand
	peers, networks int
	// state is what becomes of each path, and left for how many rounds.
	state map[Path]Outcome
	left  map[Path]int
}

func (c *chance) next(calm bool) {
	all := []Outcome{Good, Good, Good, Missed, Missed, Missed, Elsewhere, unlisted}
	some, k := c.IntN(c.peers+1), c.IntN(c.networks+1) // 0: all, and one beyond: none
	o, rounds := all[c.IntN(len(all))], 1+c.IntN(1+c.IntN(200))
	strikes := c.IntN(40) == 0
	for p := 1; p <= c.peers; p++ {
		for i := range c.networks {
			to := pathTo(p, i)
			c.left[to]--
			switch {
			case calm:
				c.state[to] = Good
			case strikes && (some == 0 || some == p) && (k == i || k == c.networks && some > 0):
				c.state[to], c.left[to] = o, rounds
			case c.left[to] <= 0:
				c.state[to] = Good
			}
		}
	}
}

func (c *chance) vouched(peer int) bool {
	for k := range c.networks {
		if c.state[pathTo(peer, k)] == Good {
			return true
		}
	}
	return false
}

// In random worlds each path is told as down only if checks of it were missed, each such
// word has its end, what is dead for long is told, and in the end all are told as up.
func TestRandomOutages(t *testing.T) {
	for seed := range uint64(60) {
		c := &chance{Rand: rand.New(rand.NewPCG(seed, 1)), peers: 1 + int(seed%4), networks: 2 + int(seed/4%2), state: map[Path]Outcome{}, left: map[Path]int{}}
		open, missed, since := map[Path]bool{}, map[Path]bool{}, map[Path]int{}
		s := &story{}
		if seed%3 == 0 {
			s.cards = []string{"eth0", "eth0", "eth1"}
		}
		const rounds, quiet = 1500, 200
		for round := range rounds {
			c.next(round < 5 || round >= rounds-quiet)
			before := len(s.news)
			s.run(1, c.peers, c.networks, func(_, p, k int) Outcome {
				to := pathTo(p, k)
				if o := c.state[to]; o == Good || o == unlisted || c.vouched(p) {
					return o
				}
				return Unchecked // the peer is not reached at all
			})
			for p := 1; p <= c.peers; p++ {
				for k := range c.networks {
					to := pathTo(p, k)
					if c.state[to] == Missed && c.vouched(p) {
						missed[to] = true
						since[to]++
					} else {
						since[to] = 0
					}
				}
			}
			for _, n := range s.news[before:] {
				for _, p := range n.Paths {
					if (n.Word == Down) == open[p] || n.Word == Down && !missed[p] {
						t.Fatalf("seed %d, round %d: %v of %v is no news, or not true: %v", seed, round, n.Word, p, s)
					}
					open[p], missed[p], since[p] = n.Word == Down, false, 0
					if n.Card != s.card(networkOf(p)) {
						t.Fatalf("seed %d, round %d: %v is told of with card %s: %v", seed, round, p, n.Card, s)
					}
				}
			}
			for p, n := range since {
				if n > moreWaits+20 && !open[p] && known(&s.book, p) {
					t.Fatalf("seed %d, round %d: %v is dead for %d rounds, and nobody says so: %v", seed, round, p, n, s)
				}
			}
		}
		for p, o := range open {
			if o {
				t.Errorf("seed %d: %v is good, and told as down: %v", seed, p, s)
			}
		}
	}
}

func known(b *Book, p Path) bool {
	return slices.ContainsFunc(b.paths, func(h *health) bool { return h.Path == p })
}

func networkOf(p Path) (network int) {
	for p != pathTo(int(p.Peer.ID), network) {
		network++
	}
	return network
}
