package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/membership"
)

// namedMost is how many members of its former ring it names, and how many answers.
const namedMost = 16

// answersMost bounds the addresses whose answers are kept.
const answersMost = 256

// answerMost bounds what is kept and repeated of an answer, in bytes.
const answerMost = 512

// answers are what a joiner makes of the answers to its requests.
type answers struct {
	mu sync.Mutex // held while what they mean is published, so that the newest stays
	// leaderless: a member of the ring said whose disks are needed.
	leaderless bool
	impatient  bool
}

// heard takes in why a join was refused at an address, or that nobody answers
// there: text is the error's. It publishes whom this node's ring needs before it
// can join it, as far as that is known.
func (j *joiner) heard(err error, text, via string) {
	a := &j.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	why := reason.Of(err)
	answered := why != "" && why != "NOT_JOINED" || slices.Contains([]membership.Refusal{membership.Elsewhere, membership.Never}, refusal(err))
	j.n.tried.failed(via, text, answered)
	if why == "NO_LEADER" {
		// The member says whose disks are needed.
		a.leaderless = true
		text = strings.TrimPrefix(text, membership.ErrNoLeader.Error()+": ")
		j.n.nowWaits(fmt.Sprintf("a member of its ring answers at %s: %s", via, text))
		return
	}
	j.waitsForLastRing()
}

// losePatience lets a node that looks for its former ring say where that was.
func (j *joiner) losePatience() {
	a := &j.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	a.impatient = true
	j.waitsForLastRing()
}

// waitsForLastRing says what those answered whom this node asked for its former
// ring: they run, so it does not help to start them. If nobody answers, it says
// on whose disks the ring was when this node left it. The caller holds answers.mu.
func (j *joiner) waitsForLastRing() {
	f, a := j.lastRing, &j.answers
	if f.ringID == "" || !a.impatient || a.leaderless {
		return
	}
	if answered := j.n.tried.list(true); len(answered) > 0 {
		j.n.nowWaits(fmt.Sprintf("it left ring %s; those it asked for that ring answered: %s", f.ringID, strings.Join(answered, "; ")))
		return
	}
	others := f.whereabouts()
	if len(others) == 0 {
		return
	}
	disks, advice := "the disk of", "start it"
	if len(others) > 1 {
		disks, advice = "the disks of", "start the one of them that ended last first"
	}
	j.n.nowWaits(fmt.Sprintf("it left ring %s, which is on %s %s as far as it knows: %s (if a disk is lost: arc recover)",
		f.ringID, disks, strings.Join(firstOf(others), ", "), advice))
}

// tries are why the addresses that this node asked last did not admit it.
type tries struct {
	mu sync.Mutex
	by map[string]failure
}

// failure is why an address did not admit this node, and whether somebody answered
// there who knows.
type failure struct {
	text  string
	known bool
}

func (t *tries) failed(via, text string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, again := t.by[via]
	for other, f := range t.by {
		if known && !f.known && !again && len(t.by) == answersMost {
			delete(t.by, other) // makes room for somebody who knows
		}
	}
	if again || len(t.by) < answersMost {
		t.by[via] = failure{foreign.Cut(text, answerMost), known}
	}
}

// forget begins another search.
func (t *tries) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.by)
}

// list says each reason once, with all addresses that it is about; if only, those of
// somebody who knows.
func (t *tries) list(only bool) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := map[string][]string{}
	for _, via := range slices.Sorted(maps.Keys(t.by)) {
		if f := t.by[via]; f.known || !only {
			at[f.text] = append(at[f.text], via)
		}
	}
	var all []string
	for text, addresses := range at {
		all = append(all, fmt.Sprintf("%s: %s", strings.Join(firstOf(addresses), ", "), text))
	}
	slices.Sort(all)
	return firstOf(all)
}

// standstill says why this node is in no ring yet: what discovery knows, and what
// became of asking. It is empty if nothing is known.
func (n *node) standstill() string {
	var said []string
	if n.discovery != nil {
		if why := n.discovery.Standstill(); why != "" {
			said = append(said, why)
		}
	}
	if tried := n.tried.list(false); len(tried) > 0 && n.hub.Load().WaitsFor == "" { // which says as much
		said = append(said, "not admitted by "+strings.Join(tried, "; "))
	}
	return strings.Join(said, "; ")
}

// firstOf names the first of many.
func firstOf(all []string) []string {
	if k := len(all) - namedMost; k > 1 {
		return append(slices.Clone(all[:namedMost]), fmt.Sprintf("%d more", k))
	}
	return all
}

// nowWaits publishes it, and logs it when it is new.
func (n *node) nowWaits(text string) {
	old := n.hub.Load()
	if old.ID != 0 || old.WaitsFor == text || old.Phase != publish.Joining && old.Phase != publish.Founding {
		return
	}
	v := *old
	v.WaitsFor = text
	n.hub.Publish(&v, nil)
	n.log.Warn("this node waits for its ring", "ring", v.RingID, "reason", text)
}

// reasonsKept bounds the reasons that are known; more count as known, too.
const reasonsKept = 32

// complaints decides when a joiner that gets nowhere says so.
type complaints struct {
	mu    sync.Mutex
	last  time.Time // zero: nothing was said
	count int       // lines whose time had come
	said  map[string]bool
}

// due reports whether to say, at now, that something is wrong for this reason;
// if so, it counts as said.
func (c *complaints) due(now time.Time, reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	isNew := !c.said[reason] && len(c.said) < reasonsKept
	since := now.Sub(c.last)
	switch {
	case c.last.IsZero():
		c.count = 1
	case since >= durations.Complaint.Pause(c.count):
		c.count++
	case isNew && since >= durations.ComplaintNew:
	default:
		return false
	}
	if isNew {
		if c.said == nil {
			c.said = map[string]bool{}
		}
		c.said[reason] = true
	}
	c.last = now
	return true
}

// level returns Warn once in a while for a reason, else Debug.
func (c *complaints) level(reason string) hclog.Level {
	if c.due(time.Now(), reason) {
		return hclog.Warn
	}
	return hclog.Debug
}

// complain logs why a join did not come about, and who is asked next: at Warn
// once in a while, at Debug each time.
func (j *joiner) complain(err error, via, next string) {
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return
	}
	text := inWords{err}.Error()
	j.heard(err, text, via)
	j.n.log.Log(j.complaints.level(text), "not joined yet", "via", via, "error", text, "next-try", next)
}

// tellLate logs that an answer takes long.
func (j *joiner) tellLate(addresses []string) {
	j.n.log.Log(j.complaints.level("late"), "not joined yet, no answer so far", "via", strings.Join(addresses, ", "), "elapsed", durations.JoinLate, "next-try", "in "+(durations.JoinCall-durations.JoinLate).String()+" at the latest")
}
