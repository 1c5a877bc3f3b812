package paths

import (
	"cmp"
	"slices"
)

const (
	// newsWaits is for how many passes news of a path waits for others of the same card
	// that may follow. upWaits is the same for one that is up again: after much loss
	// streams come back seconds apart. moreWaits is the same for one that is down once a
	// path of that card is told as down.
	newsWaits = 12
	upWaits   = 24
	moreWaits = 120
)

// Word is what is told of a path. Each Down is followed by an Up or a Gone.
type Word uint8

const (
	// Down: messages do not get through over the path while they do over another one.
	Down Word = iota + 1
	// Up: they do again.
	Up
	// Gone: nobody looks at the path any more. Its address was given up, leads elsewhere,
	// or is the only one that is left; or the peer is out of the ring, or distant.
	Gone
)

func (w Word) String() string {
	return [...]string{Down: "down", Up: "up", Gone: "gone"}[w]
}

// News is one word about paths over one card of this machine.
type News struct {
	Word Word
	Card string
	// Networks are those of the card that the paths come from.
	Networks []string
	Paths    []Path
}

// Peers are those that the paths lead to, each once.
func (n News) Peers() (all []Peer) {
	for _, p := range n.Paths {
		all = append(all, p.Peer)
	}
	slices.SortFunc(all, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b Peer) bool { return a.ID == b.ID })
}

// news is the word that is not told yet, 0 if there is none.
func (h *health) news() Word {
	switch {
	case h.told && h.gone:
		return Gone
	case h.told && !h.down:
		return Up
	case !h.told && h.down:
		return Down
	}
	return 0
}

// tell returns what is told now: one for each card and word.
func (b *Book) tell() (all []News) {
	for _, w := range []Word{Down, Up, Gone} {
		var cards []string
		for _, h := range b.paths {
			if h.news() == w && !slices.Contains(cards, h.on.Card) {
				cards = append(cards, h.on.Card)
			}
		}
		slices.Sort(cards)
		for _, card := range cards {
			if b.ripe(card, w) {
				all = append(all, b.tellOf(card, w))
			}
		}
	}
	return all
}

// tellOf notes as told what changed on a card. Of one that is down, a path that misses
// checks is down too.
func (b *Book) tellOf(card string, w Word) News {
	n := News{Word: w, Card: card}
	b.paths = slices.DeleteFunc(b.paths, func(h *health) bool {
		if h.on.Card != card {
			return false
		}
		h.down = h.down || w == Down && h.missed != 0
		if h.news() != w {
			return false
		}
		if h.told, h.waits = w == Down, 0; !h.told {
			h.missed = 0 // the next word stands on what comes after this one
		}
		n.Paths = append(n.Paths, h.Path)
		n.Networks = append(n.Networks, h.on.Name)
		return w == Gone
	})
	slices.SortFunc(n.Paths, func(a, b Path) int {
		return cmp.Or(cmp.Compare(a.Peer.ID, b.Peer.ID), cmp.Compare(a.Address, b.Address))
	})
	slices.Sort(n.Networks)
	n.Networks = slices.Compact(n.Networks)
	return n
}

// ripe reports whether the change on a card is told now. It waits for a pass, and
// longer while other paths of that card are as they were: they may follow. More of a
// card that is told as down waits longest.
func (b *Book) ripe(card string, w Word) bool {
	waited, follow, more := 0, false, false
	for _, h := range b.paths {
		switch {
		case h.on.Card != card:
		case h.news() == w:
			waited = max(waited, h.waits)
		case h.follows(w):
			follow = true
		default:
			more = more || h.told && !h.gone
		}
	}
	if more && w == Down {
		return waited > moreWaits
	}
	if w == Up && follow && waited <= upWaits {
		return false
	}
	return waited > newsWaits || waited > 1 && !follow
}

// follows reports whether the same may soon be to be told of the path.
func (h *health) follows(w Word) bool {
	switch w {
	case Down:
		return !h.down && !h.gone
	case Up:
		return h.down && !h.gone
	}
	return h.told
}
