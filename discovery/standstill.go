package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/durations"
)

// clustersMost bounds the other clusters that are remembered: anybody can make
// up their names.
const clustersMost = 8

// clusterHeard is the coordinator of another cluster that was heard last.
type clusterHeard struct {
	last   time.Time
	name   string
	source netip.AddrPort
}

// hearCluster remembers that another cluster shares the network: its name, or
// this node's, may be mistyped.
func (c *core) hearCluster(now time.Time, from netip.AddrPort, cluster, name string) {
	for other, h := range c.clusters {
		if now.Sub(h.last) > durations.RingPresent {
			delete(c.clusters, other)
		}
	}
	if _, known := c.clusters[cluster]; !known && len(c.clusters) >= clustersMost {
		return
	}
	if c.clusters == nil {
		c.clusters = map[string]clusterHeard{}
	}
	c.clusters[cluster] = clusterHeard{now, name, from}
}

// otherClusters are those heard lately, each with one of its coordinators, sorted.
func (c *core) otherClusters(now time.Time) (all []string) {
	for cluster, h := range c.clusters {
		if now.Sub(h.last) <= durations.RingPresent {
			all = append(all, fmt.Sprintf("%q (%s at %s)", cluster, h.name, h.source.Addr().Unmap()))
		}
	}
	slices.Sort(all)
	return all
}

// heardNames says which of the names that a founding needs were heard, this
// node's own included.
func (c *core) heardNames(now time.Time) string {
	names := append([]string{c.self.Name}, c.heard.founders(now, c.expect)...)
	return fmt.Sprintf("heard %d of %d names: %s", len(names), c.expect, strings.Join(names, ", "))
}

// standstill says why a search has not ended yet.
func (c *core) standstill(now time.Time) string {
	if c.search == nil {
		return ""
	}
	var said []string
	if c.expect > 0 && c.ring.RingID == "" {
		said = append(said, c.heardNames(now))
		if why := c.whyNotFounding(now); why != "" && why != said[0] {
			said = append(said, why)
		}
	}
	if others := c.otherClusters(now); len(others) > 0 {
		said = append(said, fmt.Sprintf("another cluster is heard here: %s; if this node belongs there, check --cluster", strings.Join(others, ", ")))
	}
	return strings.Join(said, "; ")
}

// Standstill says for people why the Seek under way has not ended yet: which of
// the expected names were heard, what the founding waits for, and which other
// clusters were heard. It is empty without a Seek, or if there is nothing to say.
func (s *Service) Standstill() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.standstill(time.Now())
}

// failure is a way out whose last send failed.
type failure struct {
	since  time.Time
	warned bool
}

// warns reports whether the failure of a send is to be warned of now, with a
// hint at its cause. It is warned of once, and while the interface may be about
// to get a usable address not at all.
func (f *failure) warns(now time.Time, err error) (hint string, yes bool) {
	hint = "does a firewall forbid UDP broadcast? name the interfaces to use with --interface"
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		if now.Sub(f.since) < durations.InterfaceUsable {
			return "", false
		}
		hint = "the interface has no usable address: has IPv6 found a duplicate of it? name the interfaces to use with --interface"
	}
	yes = !f.warned
	f.warned = true
	return hint, yes
}
