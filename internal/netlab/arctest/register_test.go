package arctest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/client"
)

// register is what a leader guards with its token: it takes a write only with
// a token that is not lower than any before.
type register struct {
	mu       sync.Mutex
	highest  uint64
	accepted []write
	rejected []write
}

type write struct {
	by    string
	token uint64
	at    time.Time
}

func (r *register) put(w write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.at = time.Now()
	if w.token < r.highest {
		r.rejected = append(r.rejected, w)
		return
	}
	r.highest = w.token
	r.accepted = append(r.accepted, w)
}

// writer writes while its node says that it leads, and takes its time between
// the asking and the writing, as real programs do. It holds on to its own
// connection and to what it was told.
func writer(ctx context.Context, name string, api *client.Client, r *register) {
	for ctx.Err() == nil {
		call, done := context.WithTimeout(ctx, time.Second)
		st, err := api.Status(call)
		done()
		if err == nil && st.Claiming {
			for range 3 {
				r.put(write{by: name, token: st.Term})
				pause(ctx, time.Duration(rand.Int64N(int64(lease))))
			}
			continue
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// No write of a superseded leader is accepted, whatever happens to the ring.
func TestFencedRegister(t *testing.T) {
	t.Parallel()
	c := ringOf(t, 5)
	r := &register{}
	ctx, stop := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	for _, n := range c.nodes {
		api, err := client.New("unix://" + n.host.Outside("/run/arc/"+client.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			defer api.Close()
			writer(ctx, n.name, api, r)
		})
	}
	for i, change := range []struct {
		what       string
		begin, end func(n *node)
	}{
		{"pull", func(n *node) { c.lab.Pull(n.host) }, func(n *node) { c.lab.Plug(n.host) }},
		{"kill -9", func(n *node) { n.kill() }, func(n *node) { n.start() }},
		{"SIGSTOP", func(n *node) { n.proc.Stop() }, func(n *node) { n.proc.Continue() }},
		{"handover", func(n *node) { n.mustArc("handover") }, func(n *node) {}},
		{"pause", func(n *node) { n.host.Freeze() }, func(n *node) { n.host.Thaw() }},
	} {
		st := c.settle(patience)
		n := c.node(st.Leader.Name)
		change.begin(n)
		n.cutOff = change.what != "handover"
		c.settle(patience)
		r.mu.Lock()
		before := len(r.accepted)
		r.mu.Unlock()
		c.await(patience, fmt.Sprintf("a write of the leader after %s (%d)", change.what, i), func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.accepted) > before && r.accepted[len(r.accepted)-1].by != n.name
		})
		change.end(n)
		n.cutOff = false
	}
	c.settle(patience)
	stop()
	writers.Wait()

	owners := map[uint64]string{}
	last := write{}
	for _, w := range r.accepted {
		if owner, ok := owners[w.token]; ok && owner != w.by {
			t.Errorf("token %d was used by %s and by %s", w.token, owner, w.by)
		}
		owners[w.token] = w.by
		if w.token < last.token {
			t.Errorf("a write of %s with token %d was accepted after one of %s with %d", w.by, w.token, last.by, last.token)
		}
		last = w
	}
	t.Logf("%d writes under %d tokens accepted, %d late ones refused", len(r.accepted), len(owners), len(r.rejected))
	if len(owners) < 5 {
		t.Errorf("%d tokens wrote, there were at least 5 leaders", len(owners))
	}
}
