package election

import (
	"fmt"
	"slices"
	"strings"

	"github.com/arc-ring/arc/ring"
)

// missingAfter is for how many leases a member knows no leader before it says
// whose disks are needed; an election takes less.
const missingAfter = lonelyAfter

// Missing says in a sentence whose disks a majority of the voters needs; "" while
// somebody leads, or is being elected.
func (n *Node) Missing(now Instant) string {
	if n.ring == nil || n.removed || n.ring.RingID == "" || now < n.LeaderUntil() {
		return ""
	}
	if n.asksWhetherMember(now) {
		return ""
	}
	if s, out := n.saidOut(); out {
		// The ring went on without this member, and it is that one that waits.
		silent := slices.DeleteFunc(slices.Clone(s.Voters), func(id uint64) bool { return n.peers.Value(id).answer != nil })
		needed := len(s.Voters)/2 + 1 - (len(s.Voters) - len(silent))
		return missingText(Tolerance{Needed: needed, NeededOf: n.namesOf(silent)}, n.whereabouts(s.Voters), false)
	}
	if now < max(n.born, n.leaderHeard, min(n.claimEnd, now)).Add(missingAfter*n.ring.Settings.Lease()) {
		return ""
	}
	text := missingText(n.tolerance(now), n.whereabouts(n.conf.GetVoters()), n.alone(now))
	if text != "" {
		text += n.doubted(now)
	}
	return text
}

// asksWhetherMember reports whether others have just told this member that it is
// out, or one of those who say so knows a leader: the ring does not wait.
func (n *Node) asksWhetherMember(now Instant) bool {
	q := &n.inquiry
	for from, p := range n.peers.All() {
		if s := p.answer; s != nil && s.InTouch && n.saysNo(from) {
			return true
		}
	}
	return q.told != 0 && now < q.told.Add(n.inquiryPatience())
}

// alone reports whether this member hears none of the other voters.
func (n *Node) alone(now Instant) bool {
	others := n.otherVoters()
	return len(others) > 0 && !slices.ContainsFunc(others, func(id uint64) bool { return n.thoughtAlive(id) && n.answers(id, now) })
}

// doubted says which voters speak as another process that this member does not
// count, and what an operator can do.
func (n *Node) doubted(now Instant) (text string) {
	for _, id := range n.otherVoters() {
		c, m := n.peers.Value(id).claim, n.memberOrGone(id)
		if c == nil || now >= c.heard.Add(n.ring.Settings.Lease()) || c.incarnation == n.holder(m) || n.behind(m, c) {
			continue
		}
		text += fmt.Sprintf("; %s speaks as another process than the one at %s, which is silent and may live: if it has ended, restart this node",
			m.Name, strings.Join(m.Addresses, ", "))
	}
	return text
}

// memberOrGone returns a member, or a former one that is still needed.
func (n *Node) memberOrGone(id uint64) ring.Member {
	if m, ok := n.ring.Member(id); ok {
		return m
	}
	return n.gone.Value(id)
}

// saidOut returns what the member said that knows the newest ring without this
// one, while this member has not come to a judgement.
func (n *Node) saidOut() (newest Standing, ok bool) {
	for from, p := range n.peers.All() {
		if s := p.answer; s != nil && n.saysNo(from) && s.Epoch > newest.Epoch {
			newest, ok = *s, true
		}
	}
	return newest, ok
}

// missingText says whom t needs, with their disks, where the voters are, and what to look at first. One
// that hears nobody (alone) cannot tell whether the others lead.
func missingText(t Tolerance, voters []string, alone bool) string {
	disks, advice := "its disk", "if a disk is lost: arc recover"
	if alone {
		advice = "this node hears none of the others, who may lead: look at its network first, then whether they run; " + advice
	}
	switch {
	case t.Needed <= 0:
		return ""
	case t.Needed > 1:
		disks = "their disks"
	}
	return fmt.Sprintf("%s with %s; the voters are %s; %s", t.needs(), disks, strings.Join(voters, ", "), advice)
}

// majorityText says how many voters a leader needs.
func (n *Node) majorityText() string {
	voters := n.conf.GetVoters()
	if len(voters) == 1 {
		return "the only voter is " + n.nameOf(voters[0])
	}
	return fmt.Sprintf("%d of %d voters are needed", len(voters)/2+1, len(voters))
}

// whereabouts names the others with their addresses.
func (n *Node) whereabouts(ids []uint64) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = n.nameOf(id)
		if id != n.cfg.ID {
			names[i] = ring.Whereabouts(names[i], n.memberOrGone(id).Addresses)
		}
	}
	return names
}

func (n *Node) namesOf(ids []uint64) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = n.nameOf(id)
	}
	return names
}
