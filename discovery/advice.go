package discovery

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
)

// advice is the log line of a search that takes long.
func (c *core) advice(now time.Time) {
	n := note{level: hclog.Warn, interfaces: true, args: []any{"cluster", c.cluster, "elapsed", now.Sub(c.search.began).Round(time.Millisecond)}}
	switch {
	case c.ring.RingId != "":
		n.message = "no leader of this ring answers"
		n.args = append(n.args, "ring", c.ring.RingId, "hint", "start the other members, or name one with --join HOST:PORT")
	case c.expect > 0:
		n.message = "no ring founded yet"
		n.args = append(n.args, "expect", c.expect, "heard", append([]string{c.self.Name}, c.heard.founders(now, c.expect)...), "reason", c.whyNotFounding(now))
		if names := c.heard.toldNames(now); len(names) > 0 {
			n.args = append(n.args, "heard-by-others", names)
		}
		n.args = append(n.args, "hint", c.hint(now))
	default:
		n.message = "no ring found"
		n.args = append(n.args, "heard", c.heard.names(now), "hint", fmt.Sprintf("no ring of cluster %s answers: %s", c.cluster, c.hint(now)))
	}
	if others := c.otherClusters(now); len(others) > 0 {
		n.args = append(n.args, "other-clusters", others)
	}
	if unread := c.unread(now); len(unread) > 0 {
		n.args = append(n.args, "unread", unread)
	}
	c.emit(n)
}

// hint says what an operator can do for a node that was in no ring before.
func (c *core) hint(now time.Time) string {
	if len(c.unread(now)) > 0 {
		return "give all nodes the same secret file and clock: hellos came that were not read"
	}
	if c.expect > 0 {
		return fmt.Sprintf("start all %d nodes with --cluster %s --expect %d", c.expect, c.cluster, c.expect)
	}
	return "start one node with --bootstrap, or all with --expect N, or name a member with --join HOST:PORT"
}

// heardNames says which of the names that a founding needs were heard, this
// node's own included.
func (c *core) heardNames(now time.Time) string {
	names := append([]string{c.self.Name}, c.heard.founders(now, c.expect)...)
	return fmt.Sprintf("heard %d of %d names: %s", len(names), c.expect, strings.Join(names, ", "))
}

// standstill says why a search has not ended yet, and after a while what can be done. A
// node that was in a ring knows more of that than is known here.
func (c *core) standstill(now time.Time) string {
	if c.search == nil {
		return ""
	}
	var said []string
	heard, needsMore := c.heard.names(now), false
	switch {
	case c.ring.RingId != "":
	case c.expect > 0:
		said = append(said, c.heardNames(now))
		if why := c.whyNotFounding(now); why != "" && why != said[0] {
			said = append(said, why)
		}
		if others := c.heard.toldNames(now); len(others) > 0 {
			said = append(said, fmt.Sprintf("others hear %s, this node does not", strings.Join(others, ", ")))
		}
		needsMore = len(c.heard.founders(now, c.expect))+1 < c.expect
	case len(heard) == 0:
		said, needsMore = append(said, fmt.Sprintf("no other node of cluster %s is heard", c.cluster)), true
	default:
		said, needsMore = append(said, fmt.Sprintf("no ring of cluster %s answers, heard are %s", c.cluster, strings.Join(heard, ", "))), true
	}
	if needsMore && !now.Before(c.search.began.Add(durations.AdviceAfter)) {
		said = append(said, c.hint(now))
	}
	if others := c.otherClusters(now); len(others) > 0 {
		said = append(said, fmt.Sprintf("another cluster is heard here: %s; if this node belongs there, check --cluster", strings.Join(others, ", ")))
	}
	said = append(said, c.unread(now)...)
	return strings.Join(said, "; ")
}
