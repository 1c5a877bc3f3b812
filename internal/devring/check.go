package devring

import (
	"context"
	"time"

	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/internal/verify/wire"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// violationsKept bounds the list: one broken rule tends to stay broken.
const violationsKept = 100

// judge gives an observation to the checker and keeps what it finds.
func (r *recorder) judge(observe func(*verify.Checker) []verify.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(observe(&r.check))
}

func (r *recorder) keep(found []verify.Violation) {
	r.found = append(r.found, found[:min(len(found), violationsKept-len(r.found))]...)
}

// Violations returns what broke G1 to G3 so far, as seen in all nodes' streams
// and answers.
func (r *Ring) Violations() []string {
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	var list []string
	for _, v := range append(r.events.found[:len(r.events.found):len(r.events.found)], r.events.check.Replay()...) {
		list = append(list, v.String())
	}
	return list
}

// Declared returns how many terms were seen to have a leader.
func (r *Ring) Declared() int {
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	return r.events.check.Declarations()
}

// CheckHistory holds a node's history against all that was seen.
func (r *Ring) CheckHistory(n *Node, h *arcv1.HistoryResponse) {
	r.events.judge(func(c *verify.Checker) []verify.Violation { return wire.History(c, n.name, h) })
}

// Status asks one node.
func (n *Node) Status(ctx context.Context) (*arcv1.StatusResponse, error) {
	c, err := n.Client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	asked := time.Since(n.ring.events.began)
	st, err := c.Status(ctx)
	if err == nil {
		answered := time.Since(n.ring.events.began)
		n.ring.events.judge(func(c *verify.Checker) []verify.Violation { return wire.Status(c, asked, answered, st) })
	}
	return st, err
}
