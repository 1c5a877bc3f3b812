package coordinator

import (
	"net/netip"
	"strings"

	"github.com/arc-ring/arc/internal/paths"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// network returns the network on which this machine has an address.
func (n *node) network(a netip.Addr) paths.Network {
	card, name := n.local.Network(a)
	return paths.Network{Card: card, Name: name}
}

// pathsChanged tells the operator that an interface is of no use to reach members, or
// is again, or that nobody looks any more.
func (n *node) pathsChanged(news paths.News) {
	detail := &arcv1.PathsChanged{Network: strings.Join(news.Networks, ","), Interface: news.Card}
	for _, p := range news.Peers() {
		detail.Peers = append(detail.Peers, p.Name)
	}
	args := []any{"network", detail.Network, "interface", detail.Interface, "peers", strings.Join(detail.Peers, ", ")}
	switch news.Word {
	case paths.Down:
		n.log.Warn("path down", append(args, "hint", "messages go over another network: look at this one's cables, switch and interfaces")...)
	case paths.Up:
		n.log.Info("path up", args...)
	case paths.Gone:
		n.log.Info("path gone", args...)
	}
	if l := n.loop.Load(); l != nil {
		l.Announce(func(s *ring.State) *arcv1.Event { return n.events.Paths(s, news.Word, detail) })
	}
}
