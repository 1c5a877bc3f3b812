package discovery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// aloneAfter is how many unanswered hellos a founder who expects nobody
// else sends first, so that a ring that is there is found before.
const aloneAfter = 4

// FoundingVoters is how many of its founders vote in a new ring at most.
const FoundingVoters = 7

// founding is this node's part in the founding of a ring: it either holds its
// word for another founder, or asks for the others' words, or neither. Once
// decided, it never gives its word again until the ring is known or the next
// search says that there is none.
type founding struct {
	words
	// asking is this node's own candidacy.
	asking  *candidacy
	decided bool
	// round numbers candidacies, so that a late answer to an old one is not
	// counted for a newer one.
	round   uint64
	retryAt time.Time
	wait    time.Duration
	// logged is the last reason at Info, so that repeats go to Debug.
	logged string
}

type candidacy struct {
	round    uint64
	names    []string
	targets  []*target // of all names but the first, which is this node's
	deadline time.Time
}

// target is one node whose word the candidate needs.
type target struct {
	node     *discoveryv1.Node
	accepted bool
	asked    bool
	next     time.Time
	wait     time.Duration
	reason   string
}

// ask wants the node asked to accept this one as the founder; the answer goes
// to core.asked with the round, the node's name and its incarnation.
type ask struct {
	round   uint64
	node    *discoveryv1.Node
	request *peerv1.AcceptFounderRequest
}

// abandon ends a candidacy; no other begins before the wait is over.
func (f *founding) abandon(now time.Time, wait time.Duration) {
	f.asking = nil
	f.retryAt = time.Time{}
	if wait > 0 {
		f.retryAt = now.Add(wait)
	}
}

// next returns the earlier of the time given and when something is due here.
func (f *founding) next(at time.Time) time.Time {
	if f.word != nil {
		at = earliest(at, f.word.until)
	}
	if !f.retryAt.IsZero() {
		at = earliest(at, f.retryAt)
	}
	if f.asking != nil {
		at = earliest(at, f.asking.deadline)
		for _, t := range f.asking.targets {
			if !t.accepted && !t.asked {
				at = earliest(at, t.next)
			}
		}
	}
	return at
}

// foundingState is what this node tells others about its part.
func (c *core) foundingState() *discoveryv1.Founding {
	f := &c.found
	if c.expect == 0 || c.ring.RingId != "" || c.search == nil && !f.decided {
		return nil
	}
	s := &discoveryv1.Founding{Expect: uint32(c.expect)}
	switch {
	case f.asking != nil || f.decided:
		s.Accepted, s.AcceptedIncarnation = c.self.Name, c.self.Incarnation
	case f.word != nil:
		s.Accepted, s.AcceptedIncarnation = f.word.Founder, f.word.Incarnation
	}
	return s
}

// ringThere says which ring was heard lately, "" for none.
func (c *core) ringThere(now time.Time) string {
	id := c.rings.other(now, "")
	if id == "" {
		return ""
	}
	return fmt.Sprintf("ring %s was heard from %s", id, c.rings[id].from.Name)
}

// mayFound returns the names with which this node may ask to found now, its own
// included, or why it may not.
func (c *core) mayFound(now time.Time) ([]string, string) {
	f := &c.found
	if len(c.self.Addresses) == 0 {
		return nil, "this machine has no address yet"
	}
	if f.word != nil {
		return nil, fmt.Sprintf("accepted %s as the founder %s ago, waiting for its ring", f.word.Founder, now.Sub(f.word.Given).Round(time.Millisecond))
	}
	if why := c.ringThere(now); why != "" {
		return nil, why
	}
	names := c.heard.founders(now, c.expect)
	if len(names)+1 < c.expect {
		return nil, c.heardNames(now)
	}
	switch lowest, ok := c.heard.lowest(names); {
	case c.self.Witness && !ok:
		return nil, fmt.Sprintf("all %d names are witnesses: one has to be started without --witness", len(names)+1)
	case ok && (c.self.Witness || lowest < c.self.Name):
		return nil, fmt.Sprintf("waiting for %s to found, the lowest of %d names that is no witness", lowest, len(names)+1)
	}
	for _, name := range names {
		if now.Sub(c.heard.byName[name].conflict) <= durations.NamePresent {
			return nil, fmt.Sprintf("two running coordinators have the name %s", name)
		}
	}
	if len(names) == 0 && c.search.attempts < aloneAfter {
		return nil, "listening for a ring first"
	}
	if now.Before(f.retryAt) {
		return nil, "was refused: " + f.logged
	}
	all := append([]string{c.self.Name}, names...)
	return all, f.blocked(now, nil, all)
}

// whyNotFounding says what a node that expects others waits for.
func (c *core) whyNotFounding(now time.Time) string {
	if a := c.found.asking; a != nil {
		for _, t := range a.targets {
			if !t.accepted {
				return fmt.Sprintf("%s did not accept this founder yet: %s", t.node.Name, t.reason)
			}
		}
	}
	_, reason := c.mayFound(now)
	return reason
}

// advanceFounding begins, carries on or ends this node's candidacy.
func (c *core) advanceFounding(now time.Time) {
	f := &c.found
	c.lapse(now)
	if !f.retryAt.IsZero() && !now.Before(f.retryAt) {
		f.retryAt = time.Time{}
	}
	if c.search == nil || c.expect == 0 || c.ring.RingId != "" {
		f.asking = nil
		return
	}
	if a := f.asking; a != nil {
		why := c.ringThere(now)
		switch {
		case why != "":
		case now.Before(a.deadline):
			c.askDue(now)
			return
		default:
			why = c.whyNotFounding(now)
		}
		c.giveUp(now, why)
		return
	}
	names, reason := c.mayFound(now)
	if reason != "" {
		return
	}
	f.round++
	a := &candidacy{round: f.round, names: names, deadline: now.Add(durations.FounderDecides)}
	for _, name := range names[1:] {
		a.targets = append(a.targets, &target{node: c.heard.byName[name].node, next: now, wait: durations.FounderUnanswered.First, reason: "no answer"})
	}
	f.asking = a
	c.log(hclog.Debug, "asking to found the ring", "cluster", c.cluster, "names", names, "attempt", f.round)
	c.askDue(now)
	c.decide(now)
}

// askDue asks everybody whose word is missing and who was not asked lately.
func (c *core) askDue(now time.Time) {
	a := c.found.asking
	for _, t := range a.targets {
		h := c.heard.byName[t.node.Name]
		if h != nil && h.node.Incarnation != t.node.Incarnation {
			// Restarted: it does not know what it said.
			*t = target{node: h.node, next: now, wait: durations.FounderUnanswered.First, reason: "restarted"}
		}
		if t.accepted || t.asked || now.Before(t.next) {
			continue
		}
		t.asked = true
		node := proto.Clone(t.node).(*discoveryv1.Node)
		if h != nil {
			node.Addresses = nearestFirst(node.Addresses, h.source)
		}
		// At an own address it would be this node that answers.
		node.Addresses = slices.DeleteFunc(node.Addresses, func(a string) bool { return slices.Contains(c.self.Addresses, a) })
		c.emit(ask{a.round, node, &peerv1.AcceptFounderRequest{
			Cluster: c.cluster, Founder: c.self.Name, Incarnation: c.self.Incarnation,
			Addresses: c.self.Addresses, Names: slices.Sorted(slices.Values(a.names)), To: node.Name,
		}})
	}
}

// asked takes in what became of an ask; problem is the error of one that got
// no answer.
func (c *core) asked(now time.Time, round uint64, name string, incarnation uint64, accepted bool, reason string, problem error) {
	a := c.found.asking
	if a == nil || a.round != round {
		return
	}
	i := slices.IndexFunc(a.targets, func(t *target) bool { return t.asked && t.node.Name == name && t.node.Incarnation == incarnation })
	if i < 0 {
		return
	}
	t := a.targets[i]
	t.asked = false
	switch {
	case problem != nil:
		t.reason = problem.Error()
		t.next = now.Add(c.jitter(t.wait))
		t.wait = min(2*t.wait, durations.FounderUnanswered.Longest)
		c.log(hclog.Debug, "asking to found got no answer", "peer", name, "error", problem)
	case !accepted:
		// It has its reasons, and they will not go away at once. Those
		// who accepted are set free when they see that this node gave up.
		c.giveUp(now, fmt.Sprintf("%s refused: %s", name, reason))
	default:
		t.accepted = true
	}
	c.tick(now)
	c.decide(now)
}

// decide founds if everybody named has accepted.
func (c *core) decide(now time.Time) {
	f := &c.found
	a := f.asking
	if a == nil || !now.Before(a.deadline) {
		return
	}
	found := Found{Founder: true, Names: a.names}
	for _, t := range a.targets {
		if !t.accepted {
			return
		}
		found.Others = append(found.Others, t.node)
	}
	f.asking, f.decided = nil, true
	c.log(hclog.Info, "accepted by all as the founder", "cluster", c.cluster, "names", a.names)
	c.finish(now, found)
}

// giveUp ends the candidacy for a while.
func (c *core) giveUp(now time.Time, reason string) {
	f := &c.found
	f.wait = min(max(2*f.wait, durations.FounderRefused.First), durations.FounderRefused.Longest)
	f.abandon(now, c.jitter(f.wait))
	l := hclog.Info
	if f.logged == reason {
		l = hclog.Debug
	}
	f.logged = reason
	c.log(l, "not founding the ring yet", "cluster", c.cluster, "reason", reason, "wait", f.wait)
}

// accept decides whether this node gives its word to a founder; if not, the
// reason is a short sentence for the founder's log. An error says that it was
// not this node who was asked.
func (c *core) accept(now time.Time, req *peerv1.AcceptFounderRequest) (bool, string, error) {
	if to := req.GetTo(); to != "" && to != c.self.Name {
		return false, "", fmt.Errorf("%w: the founder %.80q asks for the word of %.80q, and %s answers", ErrOtherNode, req.GetFounder(), to, c.self.Name)
	}
	c.lapse(now)
	if reason := c.refusal(now, req); reason != "" {
		if c.found.word != nil {
			// Ask the one who holds the word whether it still needs it.
			c.poke(now)
		}
		c.log(hclog.Debug, "refused a founder", "peer", req.GetFounder(), "reason", reason)
		return false, reason, nil
	}
	f := &c.found
	f.abandon(now, 0)
	if f.word == nil {
		c.log(hclog.Info, "accepted a founder", "cluster", c.cluster, "peer", req.Founder, "addresses", req.Addresses, "names", req.Names)
	}
	f.give(now, Word{Founder: req.Founder, Incarnation: req.Incarnation, Names: slices.Clone(req.Names), Given: now}, c.seq)
	return true, "", nil
}

// refusal is why this node does not give its word, empty if it does.
func (c *core) refusal(now time.Time, req *peerv1.AcceptFounderRequest) string {
	f := &c.found
	if err := foreign.CheckName("cluster", req.GetCluster()); err != nil {
		return err.Error()
	}
	founder := &discoveryv1.Node{Name: req.Founder, Incarnation: req.Incarnation, Addresses: req.Addresses}
	if err := checkSender(founder); err != nil {
		return err.Error()
	}
	switch {
	case req.Cluster != c.cluster:
		return fmt.Sprintf("%s belongs to cluster %q, not %q", c.self.Name, c.cluster, req.Cluster)
	case req.Founder == c.self.Name && req.Incarnation == c.self.Incarnation:
		return fmt.Sprintf("%s was asked by itself: another node advertises one of its addresses %s", c.self.Name, strings.Join(c.self.Addresses, ", "))
	case req.Founder == c.self.Name:
		return fmt.Sprintf("the name %q is in use at %s", c.self.Name, strings.Join(c.self.Addresses, ", "))
	case c.ring.RingId != "":
		return fmt.Sprintf("%s is in ring %s, led by %q at %s", c.self.Name, c.ring.RingId, c.ring.Leader, strings.Join(c.ring.LeaderAddresses, ", "))
	case c.expect == 0:
		return fmt.Sprintf("%s was started without --expect", c.self.Name)
	case f.decided:
		return fmt.Sprintf("%s is founding the ring itself", c.self.Name)
	}
	if id := c.rings.other(now, ""); id != "" {
		return fmt.Sprintf("%s heard ring %s from %s", c.self.Name, id, c.rings[id].from.Name)
	}
	if w := f.word; w != nil && !w.is(founder) {
		return fmt.Sprintf("%s accepted %s (incarnation %d) as the founder %s ago", c.self.Name, w.Founder, w.Incarnation, now.Sub(w.Given).Round(time.Millisecond))
	}
	if reason := c.badNames(now, req); reason != "" {
		return reason
	}
	if reason := f.blocked(now, founder, req.Names); reason != "" {
		return reason
	}
	if h := c.heard.byName[req.Founder]; h != nil && h.node.Witness && h.node.Incarnation == req.Incarnation {
		return fmt.Sprintf("%s is a witness and never leads", req.Founder)
	}
	if lower, ok := c.heard.lowest(c.heard.founders(now, c.expect)); ok && lower < req.Founder {
		return fmt.Sprintf("%s heard %s, whose name is lower than %s", c.self.Name, lower, req.Founder)
	}
	return ""
}

// badNames checks the names that a founder wants to found with.
func (c *core) badNames(now time.Time, req *peerv1.AcceptFounderRequest) string {
	if err := checkNames("name", "names", req.Names, limits.Nodes+1); err != nil {
		return err.Error()
	}
	names := slices.Compact(slices.Sorted(slices.Values(req.Names)))
	switch {
	case !slices.Contains(names, req.Founder):
		return fmt.Sprintf("the founder %s is not among its names", req.Founder)
	case !slices.Contains(names, c.self.Name):
		return fmt.Sprintf("%s is not among the names that %s heard", c.self.Name, req.Founder)
	case len(names) < c.expect:
		return fmt.Sprintf("%d names are fewer than the %d that %s expects", len(names), c.expect, c.self.Name)
	}
	for _, name := range names {
		// A node that was not heard here may be a witness: the founder has heard it.
		h := c.heard.byName[name]
		leads := h != nil && h.fresh(now) && !h.node.Witness || name == c.self.Name && !c.self.Witness
		if leads && name < req.Founder {
			return fmt.Sprintf("%s is not the lowest of its names that is no witness, %s is", req.Founder, name)
		}
	}
	return ""
}
