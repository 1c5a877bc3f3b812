package transport

import (
	"net/netip"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// flight is a check under way: over which stream of which path, and what has to be
// acknowledged there. Without a path there is nothing to send it on.
type flight struct {
	paths.Check
	path   *path
	local  netip.Addr
	stream *outbound
	mark   uint64
}

// watchPaths checks the paths of peers that have several, until Close.
func (t *Transport) watchPaths() {
	var b paths.Book
	pause := durations.PathCheck
	for n := 0; connect.Wait(t.closing, pause); n++ {
		flights := t.sendChecks(n)
		checks, ok := t.awaitChecks(flights)
		if !ok {
			return
		}
		var news []paths.News
		news, pause = b.Pass(t.now(), checks)
		for _, f := range flights {
			if f.path != nil {
				f.path.down.Store(b.IsDown(f.Path))
			}
		}
		for _, n := range news {
			t.opts.PathsChanged(n)
		}
	}
}

// sendChecks sends one over each path of each peer that has several. The other paths
// that such a peer may have are listed without one.
func (t *Transport) sendChecks(round int) (all []*flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		to := paths.Peer{ID: p.id, Name: p.info.Name}
		laid := p.paths
		if len(laid) == 1 {
			laid = nil
		}
		whole := paths.Whole(round, laid)
		for _, r := range laid {
			f := &flight{Check: paths.Check{Path: paths.Path{Peer: to, Address: r.address}, Outcome: paths.Missed}, path: r, stream: r.stands, local: r.local}
			if r.stands != nil {
				r.queue.push(checkItem(r.stands, slices.Contains(whole, r)))
			} else if r.elsewhere {
				f.Outcome = paths.Elsewhere
			}
			all = append(all, f)
		}
		for _, address := range p.wantLocked(true) {
			if !slices.ContainsFunc(laid, func(r *path) bool { return r.address == address }) {
				all = append(all, &flight{Check: paths.Check{Path: paths.Path{Peer: to, Address: address}}})
			}
		}
	}
	return all
}

func checkItem(s *outbound, whole bool) item {
	c := &peerv1.PathCheck{}
	if whole {
		now, _ := look(s.conn)
		c.Padding = make([]byte, min(paths.WholeSegments*now.segment, limits.Part/2))
	}
	return item{env: &peerv1.StreamRequest{Body: &peerv1.StreamRequest_PathCheck{PathCheck: c}}, from: s.self.ID, size: 64 + len(c.Padding)}
}

// awaitChecks waits until the checks must have been acknowledged, and returns what became of
// them. ok is false at Close.
func (t *Transport) awaitChecks(flights []*flight) (checks []paths.Check, ok bool) {
	if !connect.Wait(t.closing, durations.PathWritten) {
		return nil, false
	}
	wait := durations.PeerStall
	for _, f := range flights {
		if f.stream == nil {
			continue
		}
		now, ok := look(f.stream.conn)
		if !ok {
			f.stream = nil
			continue
		}
		f.mark = now.handed
		wait = max(wait, min(4*now.rtt, durations.PeerAck))
	}
	// A second look, since a machine that stood still has not read yet what came.
	for looks := 0; looks < 2 && slices.ContainsFunc(flights, (*flight).open); looks++ {
		if !connect.Wait(t.closing, wait) {
			return nil, false
		}
	}
	for _, f := range flights {
		if f.stream != nil {
			now, acked := f.acked()
			f.Outcome = f.stream.loss.Note(now.sent, now.again, acked)
		}
		if f.local.IsValid() {
			f.On = t.opts.Network(f.local)
		}
		checks = append(checks, f.Check)
	}
	return checks, true
}

// acked looks at the stream, and reports whether the check was acknowledged there.
func (f *flight) acked() (now tcp, acked bool) {
	if f.stream == nil {
		return tcp{}, false
	}
	now, ok := look(f.stream.conn)
	return now, ok && (!now.waiting || now.acked >= f.mark)
}

// open reports whether the check was sent and is not acknowledged.
func (f *flight) open() bool {
	_, acked := f.acked()
	return f.stream != nil && !acked
}

// Paths returns the paths to all peers, by their ids. A distant one that nothing is
// sent to has none. The address is empty while it is not known which of the peer's
// will do; without a stream a path is not up, and its round trip is 0.
func (t *Transport) Paths() map[uint64][]*arcv1.Path {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[uint64][]*arcv1.Path{}
	for _, p := range t.peers {
		for _, r := range p.paths {
			s := &arcv1.Path{Address: r.address}
			if r.stands == nil && p.info.Distant {
				continue // it is not dialled
			}
			if r.stands != nil {
				now, _ := look(r.stands.conn)
				s.Address, s.Up, s.RttUs = r.at, !r.down.Load(), uint64(now.rtt/time.Microsecond)
			}
			all[p.id] = append(all[p.id], s)
		}
	}
	return all
}
