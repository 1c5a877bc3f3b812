package coordinator

import (
	"context"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// join admits a joiner; this node leads.
func (n *node) join(ctx context.Context, l *loop, r *arcv1.JoinRequest) (*arcv1.JoinResponse, error) {
	m := ring.Member{Name: r.GetName(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(),
		Witness: r.GetWitness(), OnJoin: ring.OnJoin(r.GetOnJoin()), Nonce: r.GetNonce(), Version: r.GetVersion(), LogVersion: r.GetLogVersion()}
	d, err := l.request(ctx, election.Request{Join: &ring.Join{Member: m}})
	if err != nil {
		return nil, err
	}
	return n.joinedAs(d.ID), nil
}

func (n *node) joinedAs(id uint64) *arcv1.JoinResponse {
	v, l, ok := n.hub.Leader()
	r := &arcv1.JoinResponse{Id: id, RingId: v.RingID, Epoch: v.Ring.Epoch, Members: publish.MembersToWire(v)}
	if ok {
		r.Leader = &arcv1.NodeRef{Id: l.ID, Name: l.Name}
	}
	return r
}
