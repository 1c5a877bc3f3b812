package discovery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// maxWords bounds the words that a node remembers.
const maxWords = 64

// Word is what a node that accepted a founder is bound by, or that founded itself,
// until it is in a ring that has a leader or knows that nothing was founded: the
// others may lead that ring without this node.
type Word struct {
	Founder     string    `json:"founder"`
	Incarnation uint64    `json:"incarnation"`
	Names       []string  `json:"names"` // with which the founder founds
	Given       time.Time `json:"given"`
}

// words are whom this node accepted as founder.
type words struct {
	// word is the one that holds now, nil for none.
	word *word
	// bounds are the words that ended because their founder fell silent, or because
	// this node entered the ring, which has no leader yet, and those of former
	// processes: the ring may be there, and be cut off from this node.
	bounds []*word
	// version counts the changes of what Options.Keep is to make durable.
	version uint64
	// keptAt says where they are kept.
	keptAt string
}

type word struct {
	Word
	until time.Time
	// seq is the last hello sent before the word was given; 0 for one of a
	// former process.
	seq uint64
}

func (w *word) is(n *discoveryv1.Node) bool {
	return w.Founder == n.GetName() && w.Incarnation == n.GetIncarnation()
}

// leaderlessWithout reports whether the ring of the word's founder can have no
// leader as long as none of the given names joins it.
func (w *word) leaderlessWithout(names []string) bool {
	free := 0
	for _, name := range w.Names {
		if !slices.Contains(names, name) {
			free++
		}
	}
	return free <= min(len(w.Names), FoundingVoters)/2
}

// recall takes in the words of this node's former processes.
func (ws *words) recall(given []Word, keptAt string) {
	ws.keptAt = keptAt
	for _, w := range given {
		ws.bounds = append(ws.bounds, &word{Word: w})
	}
}

// list is what has to outlive the process.
func (ws *words) list() []Word {
	var out []Word
	for _, w := range ws.bounds {
		out = append(out, w.Word)
	}
	if ws.word != nil {
		out = append(out, ws.word.Word)
	}
	return out
}

// give gives the word, or gives it again for a newer candidacy of the same
// founder: the ones before have ended.
func (ws *words) give(now time.Time, w Word, seq uint64) {
	if old := ws.word; old == nil || !slices.Equal(old.Names, w.Names) {
		ws.version++
	}
	if ws.word != nil {
		w.Given = ws.word.Given
	}
	ws.bounds = slices.DeleteFunc(ws.bounds, func(b *word) bool { return b.Founder == w.Founder && b.Incarnation == w.Incarnation })
	ws.word = &word{Word: w, until: now.Add(durations.FounderWord), seq: seq}
}

// blocked says why a ring with these names must not be founded: a founder that
// this node is bound to may get a leader from those left out.
func (ws *words) blocked(now time.Time, founder *discoveryv1.Node, names []string) string {
	for _, b := range ws.bounds {
		if b.is(founder) || b.leaderlessWithout(names) {
			continue
		}
		why := fmt.Sprintf("%s was accepted %s ago with %s and is not heard; with %s alone a second ring could be founded",
			b.Founder, now.Sub(b.Given).Round(time.Second), strings.Join(b.Names, ", "), strings.Join(names, ", "))
		if ws.keptAt != "" {
			why += fmt.Sprintf("; if no ring of %s lives, stop this coordinator, remove %s and start it again", b.Founder, ws.keptAt)
		}
		return why
	}
	if len(ws.bounds) >= maxWords {
		return fmt.Sprintf("%d founders were accepted and not heard again", len(ws.bounds))
	}
	return ""
}

// founds binds this node by its own founding.
func (ws *words) founds(now time.Time, self *discoveryv1.Node, names []string) {
	if len(names) > 1 {
		ws.bounds = append(ws.bounds, &word{Word: Word{Founder: self.Name, Incarnation: self.Incarnation, Names: slices.Clone(names), Given: now}})
		ws.version++
	}
}

// drop ends all words: this node is in a ring that has a leader.
func (ws *words) drop() {
	if ws.word != nil || len(ws.bounds) > 0 {
		ws.word, ws.bounds = nil, nil
		ws.version++
	}
}

// leave ends this node's part in a founding: its ring has changed. A ring that had
// no leader yet may get one without this node, so the words hold.
func (f *founding) leave() {
	if f.word != nil {
		f.word, f.bounds = nil, append(f.bounds, f.word)
	}
	*f = founding{round: f.round, words: f.words}
}

// restart begins a search: a founding that had been decided did not happen,
// but the words given to others hold.
func (f *founding) restart() { *f = founding{round: f.round, words: f.words} }

// lapse takes back a word whose time is over.
func (c *core) lapse(now time.Time) {
	f := &c.found
	w := f.word
	if w == nil || now.Before(w.until) {
		return
	}
	f.word, f.bounds = nil, append(f.bounds, w)
	c.log(hclog.Warn, "accepted founder was not heard to found, free for another",
		"peer", w.Founder, "elapsed", now.Sub(w.Given).Round(time.Millisecond))
}

// heardFounder prolongs the word while its founder is at it.
func (c *core) heardFounder(now time.Time, node *discoveryv1.Node, f *discoveryv1.Founding) {
	w := c.found.word
	if w != nil && w.is(node) && f.GetAccepted() == node.Name && f.GetAcceptedIncarnation() == node.Incarnation {
		w.until = now.Add(durations.FounderWord)
	}
}

// releaseByAnswer takes the word back early: the founder said, in answer to a
// hello sent after the word was given, that it is not at it. So the candidacy
// that the word was for has ended, and its answer to a later one would be newer
// than this hello. A hello cannot release: it may be older than the word.
func (c *core) releaseByAnswer(node *discoveryv1.Node, asked uint64, a *discoveryv1.Answer) {
	if a.Ring != nil {
		return
	}
	if f := a.Founding; f.GetAccepted() == node.Name && f.GetAcceptedIncarnation() == node.Incarnation {
		return
	}
	over := func(w *word) bool { return w.is(node) && asked > w.seq }
	f := &c.found
	before := len(f.list())
	if f.word != nil && over(f.word) {
		f.word = nil
	}
	f.bounds = slices.DeleteFunc(f.bounds, over)
	if len(f.list()) != before {
		f.version++
	}
}
