package coordinator

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/plainfile"
)

// wordsName is the file in the data directory that holds whom this node accepted
// as the founder of a ring, until it is in one that has a leader. Forgotten at a
// restart, one node's word could be counted in two rings.
const wordsName = "accepted-founders"

// wordsMost bounds the file, in bytes: discovery remembers 64 words of 256 names.
const wordsMost = 4 << 20

// keptWords is the file's content.
type keptWords struct {
	Cluster string           `json:"cluster"`
	Words   []discovery.Word `json:"words"`
}

func (n *node) wordsPath() string { return filepath.Join(n.o.DataDir, wordsName) }

// keepWords makes the words durable; it is discovery's Keep.
func (n *node) keepWords(words []discovery.Word) error {
	if len(words) == 0 {
		if err := os.Remove(n.wordsPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(keptWords{n.o.Cluster, words})
	if err != nil {
		return fmt.Errorf("encode the words to founders: %w", err)
	}
	return writeDurably(n.wordsPath(), string(text)+"\n")
}

// readWords reads what keepWords wrote. Another cluster's words bind nobody here.
func (n *node) readWords() ([]discovery.Word, error) {
	text, err := plainfile.ReadFile(n.wordsPath(), wordsMost)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whom this node accepted as founder: %w", err)
	}
	var kept keptWords
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, fmt.Errorf("%s does not say whom this node accepted as founder: %w; if no ring was founded, remove it", n.wordsPath(), err)
	}
	if kept.Cluster != n.o.Cluster {
		return nil, nil
	}
	for _, w := range kept.Words {
		errs := []error{foreign.CheckName("founder", w.Founder)}
		for _, name := range w.Names {
			errs = append(errs, foreign.CheckName("name", name))
		}
		if err := errors.Join(errs...); err != nil {
			return nil, fmt.Errorf("%s: %w; if no ring was founded, remove it", n.wordsPath(), err)
		}
	}
	return kept.Words, nil
}

// mayFoundAlone refuses to found without asking anybody what a word forbids.
func (n *node) mayFoundAlone() error {
	if len(n.words) == 0 {
		return nil
	}
	w := n.words[len(n.words)-1]
	return reason.Usagef("this node accepted %s as the founder of a ring with %s and never heard of it; a ring founded here could be a second one: join that one with --join, or, if it does not live, remove %s",
		w.Founder, strings.Join(w.Names, ", "), n.wordsPath())
}
