package coordinator

import (
	"context"
	"sync"

	"github.com/arc-ring/arc/internal/membership"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// acceptance is this node's part in foundings: the number under which it enters
// a ring, and the words that others gave it. That the ring of a founder may live
// without this node is what the file wordsName remembers.
type acceptance struct {
	mu    sync.Mutex
	entry membership.Entry
	words map[string]*peerv1.AcceptFounderResponse
}

func newAcceptance() *acceptance {
	a := &acceptance{words: map[string]*peerv1.AcceptFounderResponse{}}
	a.renew()
	return a
}

func (a *acceptance) nonce() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entry.Number()
}

// renew makes the next entry another one.
func (a *acceptance) renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entry.Renew(randomID)
}

// give returns the number for a founder that this node accepts.
func (a *acceptance) give(founder string, incarnation uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entry.Accept(founder, incarnation, randomID)
}

// had keeps what a node said that accepted this one as the founder.
func (a *acceptance) had(name string, r *peerv1.AcceptFounderResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.words[name] = r
}

func (a *acceptance) of(name string) *peerv1.AcceptFounderResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.words[name]
}

// acceptFounder answers Peer.AcceptFounder.
func (n *node) acceptFounder(r *peerv1.AcceptFounderRequest) (*peerv1.AcceptFounderResponse, error) {
	if n.discovery == nil {
		return &peerv1.AcceptFounderResponse{Reason: n.o.Name + " was started with --no-autodiscovery"}, nil
	}
	ok, reason, err := n.discovery.Accept(r)
	if err != nil {
		return nil, err
	}
	resp := &peerv1.AcceptFounderResponse{Accepted: ok, Reason: reason, OnJoin: n.o.OnJoin.Number(), LogVersion: ring.LogVersion}
	if ok {
		resp.Nonce = n.acceptance.give(r.GetFounder(), r.GetIncarnation())
	}
	return resp, nil
}

// askFounder is discovery's way to call AcceptFounder.
func (n *node) askFounder(ctx context.Context, address string, r *peerv1.AcceptFounderRequest) (bool, string, error) {
	conn, err := n.dialAny(ctx, []string{address})
	if err != nil {
		return false, "", err
	}
	defer conn.Close()
	resp, err := peerv1.NewPeerServiceClient(conn).AcceptFounder(ctx, r)
	if resp.GetAccepted() {
		n.acceptance.had(r.GetTo(), resp)
	}
	return resp.GetAccepted(), resp.GetReason(), err
}
