package membership

import (
	"slices"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

// placesMost bounds the places learned from answers.
const placesMost = 256

// Inquiry is where a member asks the others whether it still is one, over all
// rounds, and what it learns of their addresses by the way. What the answers mean
// for its membership is the core's business.
type Inquiry struct {
	ringID string
	id     uint64
	name   string
	// learned are places of members that this node does not know, or knows
	// elsewhere.
	learned [][]string
	began   mono.Instant
	warned  bool
}

// NewInquiry begins for the member id of a ring, whose node has the name.
func NewInquiry(ringID string, id uint64, name string, now mono.Instant) *Inquiry {
	return &Inquiry{ringID: ringID, id: id, name: name, began: now}
}

// Known is what a member knows of places before anybody answered.
type Known struct {
	// Named are the addresses that the operator gave, Heard those of each node in
	// a ring that discovery heard.
	Named []string
	Heard [][]string
	Ring  *ring.State
	// Expected are the members when this one joined. They count until the ring's
	// state has come.
	Expected []ring.Member
}

// Places returns the addresses, by machine, at which a member may answer.
func (q *Inquiry) Places(k Known) [][]string {
	out := append(ring.Each(k.Named, alone), k.Heard...)
	members := k.Ring.Members
	if k.Ring.RingID == "" {
		members = k.Expected
	}
	for _, m := range members {
		if m.Name != q.name {
			out = append(out, m.Addresses)
		}
	}
	return append(out, q.learned...)
}

// Answer is what somebody said, and where.
type Answer struct {
	At     []string
	RingID string
	// From is the member that answers, 0 if none; Member reports that the asker is
	// one to its knowledge.
	From   uint64
	Member bool
	// Members are those of its ring.
	Members []ring.Member
}

// Findings are what the answers of one round come to.
type Findings struct {
	// Answered: a member of the ring answered.
	Answered bool
	// Newer is the answer whose members are to be expected from now on, for a
	// joiner that knows those of its join; nil if there is none.
	Newer *Answer
	// Moved are members that answered elsewhere, with their new addresses.
	Moved []ring.Member
}

// Judge takes the answers of one round. s is the ring's state as this member knows
// it; heard reports that a message of any member ever came in.
func (q *Inquiry) Judge(s *ring.State, heard bool, answers []Answer) Findings {
	var f Findings
	for i, a := range answers {
		if a.RingID != q.ringID || a.From == 0 {
			continue
		}
		f.Answered = true
		for _, m := range a.Members {
			if was, _ := s.Member(m.ID); m.ID != q.id && !overlap(was.Addresses, m.Addresses) {
				q.learn(m.Addresses)
			}
		}
		if a.Member && s.RingID == "" && !heard && f.Newer == nil {
			f.Newer = &answers[i]
		}
		if was, ok := s.Member(a.From); ok && !overlap(was.Addresses, a.At) {
			was.Addresses = a.At
			f.Moved = append(f.Moved, was)
		}
	}
	return f
}

// alone is the place of a machine with one known address.
func alone(address string) []string { return []string{address} }

func (q *Inquiry) learn(addresses []string) {
	if len(q.learned) < placesMost && !slices.ContainsFunc(q.learned, func(p []string) bool { return slices.Equal(p, addresses) }) {
		q.learned = append(q.learned, addresses)
	}
}

// Unheard reports once that nobody was heard for as long as the others had a fair
// chance.
func (q *Inquiry) Unheard(now mono.Instant, heard bool) bool {
	if q.warned || heard || now.Sub(q.began) < durations.Unheard {
		return false
	}
	q.warned = true
	return true
}

// overlap reports whether two lists have an address in common.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
