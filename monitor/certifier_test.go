package monitor

import (
	"context"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/testwait"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// Only a leader's monitor keeps connections. If all did, a leader's death would
// break one of each monitor.
func TestWhoKeepsConnectionsForACertificate(t *testing.T) {
	b, c := newNode(t, 2, "n2"), newNode(t, 3, "n3")
	o := Options{Logger: hclog.NewNullLogger()}
	ct := newCertifier(&o, &connect.Dialer{Own: func() []string { return nil }, Local: &hostaddr.Table{}})
	defer ct.close()
	taken := func() (n int) {
		for _, node := range []*node{b, c} {
			n += node.host.Accepted()
		}
		return n
	}
	leads := func(id uint64) {
		ct.update(t.Context(), &localv1.Link{
			Self: &localv1.Target{Id: 1, Name: "n1"}, Leader: id,
			Tell: []*localv1.Target{{Id: 1, Name: "n1", Addresses: []string{"127.0.0.1:1"}}, b.target(), c.target()},
		})
	}
	for _, leader := range []uint64{0, 2} {
		leads(leader)
		if len(ct.targets) != 2 || len(ct.warm) != 0 {
			t.Errorf("while %d leads, %d are to be told over %d connections, want 2 and none", leader, len(ct.targets), len(ct.warm))
		}
	}
	leads(1)
	testwait.Until(t, patience, "a connection to each", func() bool { return taken() == 2 })
	leads(2)
	if len(ct.targets) != 2 || len(ct.warm) != 0 {
		t.Errorf("when it leads no longer, %d are to be told over %d connections, want 2 and none", len(ct.targets), len(ct.warm))
	}
}

// A member has several addresses, and some may lead nowhere.
func TestACertificateArrivesAtTheAddressThatAnswers(t *testing.T) {
	b := newNode(t, 2, "n2")
	target := b.target()
	target.Addresses = []string{"127.0.0.1:1", b.addr, "127.0.0.1:2"}
	o := Options{Logger: hclog.NewNullLogger()}
	ct := newCertifier(&o, &connect.Dialer{Own: func() []string { return nil }, Local: &hostaddr.Table{}})
	defer ct.close()
	ct.update(t.Context(), &localv1.Link{Self: &localv1.Target{Id: 1, Name: "n1"}, Tell: []*localv1.Target{target}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if missed := ct.certify(ctx, &peerv1.CertifyRequest{}); missed != 0 || ctx.Err() != nil {
		t.Errorf("%d missed the certificate (%v), want none", missed, ctx.Err())
	}
}
