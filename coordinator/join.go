package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// doubtfulWait is how long the holder of a wanted name has to answer.
const doubtfulWait = time.Second

// join admits a joiner; this node leads.
func (n *node) join(ctx context.Context, l *loop, r *arcv1.JoinRequest) (*arcv1.JoinResponse, error) {
	var err error
	for range 3 { // the ring may change while a name's holder is asked
		v := n.hub.views.load()
		a := admit(v.ring, r)
		if a.already != nil {
			return n.joinedAs(a.already.ID), nil
		}
		if m := a.doubtful; m != nil {
			if n.answers(ctx, *m) {
				return nil, fmt.Errorf("%w: %q is member %d at %s and alive; give one of them another --name",
					ring.ErrNameInUse, m.Name, m.ID, strings.Join(m.Addresses, ", "))
			}
			n.log.Info("a joiner takes over the name of a member that does not answer", "peer", m.Name, "id", m.ID,
				"from", m.Addresses, "to", r.GetAddresses())
			a.replaces = m.ID
		}
		if a.replaces == v.id {
			return nil, fmt.Errorf("%w: %q is this leader, member %d at %s", ring.ErrNameInUse, r.GetName(), v.id, strings.Join(n.addresses, ", "))
		}
		m := ring.Member{Name: r.GetName(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(),
			Witness: r.GetWitness(), OnJoin: ring.OnJoin(r.GetOnJoin()), Nonce: r.GetNonce(), Version: r.GetVersion()}
		var d election.Done
		d, err = l.request(ctx, election.Request{Join: &ring.Join{Member: m, Replaces: a.replaces}})
		if err == nil {
			return n.joinedAs(d.ID), nil
		}
		if !errors.Is(err, ring.ErrNameInUse) {
			return nil, err
		}
	}
	return nil, err
}

// answers tells whether a member's coordinator is alive under its name.
func (n *node) answers(ctx context.Context, m ring.Member) bool {
	found := n.wanted(m).Look(n.look(ctx, n.wanted(m), m.Addresses, doubtfulWait))
	return found.Match == ring.Itself || found.Match == ring.Restarted
}

func (n *node) joinedAs(id uint64) *arcv1.JoinResponse {
	v, l, ok := n.hub.views.leader()
	r := &arcv1.JoinResponse{Id: id, RingId: v.ringID, Epoch: v.ring.Epoch, Members: membersToWire(v)}
	if ok {
		r.Leader = &arcv1.NodeRef{Id: l.ID, Name: l.Name}
	}
	return r
}
