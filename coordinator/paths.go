package coordinator

import (
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/internal/paths"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// pathsChanged tells the operator that a network is of no use to reach members, or is
// again.
func (n *node) pathsChanged(news paths.News) {
	v := n.hub.Load()
	var peers []string
	for _, id := range news.Peers {
		if name := publish.NameOf(v.Ring, id); name != "" {
			peers = append(peers, name)
		}
	}
	if len(peers) == 0 {
		return // they have left the ring
	}
	network := n.local.Network(news.Local)
	if news.Up {
		n.log.Info("path up", "network", network, "peers", strings.Join(peers, ", "))
	} else {
		n.log.Warn("path down", "network", network, "peers", strings.Join(peers, ", "),
			"hint", "messages go over another network: look at this one's cables, switch and interfaces")
	}
	if l := n.loop.Load(); l != nil {
		l.Announce(func(s *ring.State) *arcv1.Event { return n.events.Paths(s, network, peers, news.Up) })
	}
}
