package monitor

import (
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/testwait"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// Only a leader's monitor keeps connections: did all, a leader's death would
// break one of every monitor.
func TestWhoKeepsConnectionsForACertificate(t *testing.T) {
	b, c := newNode(t, 2, "n2"), newNode(t, 3, "n3")
	o := Options{Logger: hclog.NewNullLogger()}
	u := newUndertaker(&o, &connect.Dialer{Own: func() []string { return nil }, Local: &hostaddr.Table{}})
	defer u.close()
	taken := func() (n int) {
		for _, node := range []*node{b, c} {
			n += node.host.Accepted()
		}
		return n
	}
	leads := func(id uint64) {
		u.update(t.Context(), &localv1.Link{
			Self: &localv1.Target{Id: 1, Name: "n1"}, Leader: id,
			Tell: []*localv1.Target{{Id: 1, Name: "n1", Addresses: []string{"127.0.0.1:1"}}, b.target(), c.target()},
		})
	}
	for _, leader := range []uint64{0, 2} {
		leads(leader)
		if len(u.targets) != 2 || len(u.warm) != 0 {
			t.Errorf("while %d leads, %d are to be told over %d connections, want 2 and none", leader, len(u.targets), len(u.warm))
		}
	}
	leads(1)
	testwait.Until(t, patience, "a connection to each", func() bool { return taken() == 2 })
	leads(2)
	if len(u.targets) != 2 || len(u.warm) != 0 {
		t.Errorf("when it leads no longer, %d are to be told over %d connections, want 2 and none", len(u.targets), len(u.warm))
	}
}
