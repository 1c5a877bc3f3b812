package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/wal"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// entry is what a membership begins with.
type entry struct {
	id        uint64
	ringID    string
	recovered election.Recovered
	// members are whom to expect, until the ring's state says more; nil for a member
	// that was restarted.
	members []*arcv1.MemberStatus
	// unborn: the ring had nobody but its founders, and no leader yet.
	unborn bool
}

// resume is the entry that the disk holds, nil if it holds none.
func (n *node) resume(r wal.Recovered) (*entry, error) {
	switch membership.Begin(r.Identity.ID, r.Snapshot == nil && len(r.Entries) == 0) {
	case membership.SeekAgain:
		n.log.Info("joined before but never reached, joining again", "id", r.Identity.ID, "ring", r.Identity.RingID)
		was, err := n.readLastRing()
		if err != nil {
			return nil, err
		}
		if was.ringID != r.Identity.RingID {
			was = n.lastRingOf(r.Identity.RingID, nil)
		}
		was.cluster = n.o.Cluster
		return nil, n.dropLog(was)
	case membership.Resume:
		return &entry{id: r.Identity.ID, ringID: r.Identity.RingID, recovered: election.Recovered{
			HardState: r.HardState, Snapshot: r.Snapshot, Entries: r.Entries, Bound: r.Bound, Restarted: true,
		}}, nil
	}
	return nil, nil
}

// enter finds a ring to be in: it founds one if it may, and else looks for one
// until ctx ends.
func (n *node) enter(ctx context.Context) (*entry, error) {
	was, err := n.readLastRing()
	if err != nil {
		return nil, err
	}
	j := &joiner{n: n, lastRing: was}
	if was.ringID == "" && n.discovery == nil && n.o.expect() == 1 {
		if err := n.mayFoundAlone(); err != nil {
			return nil, err
		}
		n.outside(publish.Founding, "")
		switch there, err := j.ringThere(ctx); {
		case err != nil:
			return nil, err
		case !there:
			return n.found(nil)
		}
	}
	if was.ringID != "" && n.o.expect() > 0 {
		n.log.Info("this node was in a ring, and looks for that one: it founds none while the file is there",
			"ring", was.ringID, "file", n.lastRingPath())
	}
	p := publish.Joining
	if was.ringID == "" && n.o.expect() > 0 {
		p = publish.Founding
	}
	n.outside(p, was.ringID)
	if n.discovery != nil {
		// A node that was in a ring is answered by that one alone, and never
		// founds.
		n.discovery.SetRing(&discoveryv1.Ring{RingId: was.ringID})
	}
	if err := n.awaitAddress(ctx); err != nil {
		return nil, err
	}
	e, err := n.seek(ctx, j)
	n.acceptance.renew() // a later entry is another one
	return e, err
}

// expect is how many nodes discovery has to hear before this one may found. With
// --bootstrap it listens for a ring first, as with --expect 1: the disk may be
// lost, and the ring may live.
func (o *Options) expect() int {
	if o.Bootstrap {
		return 1
	}
	return o.Expect
}

// seek asks the named addresses and whom discovery finds, both at once, until
// one of them admits this node or it is accepted as founder.
func (n *node) seek(ctx context.Context, j *joiner) (*entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(durations.LastRingSearch, j.losePatience)
	defer late.Stop()
	var searches []func(context.Context) outcome
	if len(n.o.Join)+len(j.lastRing.addresses()) > 0 {
		searches = append(searches, j.byAddresses)
	}
	if n.discovery != nil {
		searches = append(searches, j.byDiscovery)
	}
	if len(searches) == 0 {
		return nil, reason.Usagef("the ring %s is to be joined again, but no member is known: name one with --join HOST:PORT", j.lastRing.ringID)
	}
	outcomes := make(chan outcome, len(searches))
	for _, search := range searches {
		go func() { outcomes <- search(ctx) }()
	}
	// The first outcome counts and ends the other search; but a join that was
	// admitted meanwhile counts more than the right to found.
	first := <-outcomes
	cancel()
	for range searches[1:] {
		if other := <-outcomes; other.resp != nil && first.resp == nil {
			first = other
		}
	}
	switch {
	case first.resp != nil:
		return n.joined(first.resp)
	case first.founder != nil:
		return n.found(first.founder.Others)
	default:
		return nil, first.err
	}
}

// outcome is how a search ended: this node was admitted, may found a ring with
// others, or found none for good.
type outcome struct {
	resp    *arcv1.JoinResponse
	founder *discovery.Found
	err     error
}

// joined makes the log of a member that was admitted.
func (n *node) joined(r *arcv1.JoinResponse) (*entry, error) {
	id := wal.Identity{Cluster: n.o.Cluster, RingID: r.GetRingId(), Name: n.o.Name, ID: r.GetId()}
	if err := n.disk.Init(id, wal.Batch{Sync: true}); err != nil {
		return nil, fmt.Errorf("%w: join: %w", reason.ErrStorage, err)
	}
	n.log.Info("joined", "ring", r.GetRingId(), "id", r.GetId(), "epoch", r.GetEpoch(), "leader", r.GetLeader().GetName())
	return &entry{id: r.GetId(), ringID: r.GetRingId(), members: r.GetMembers(),
		unborn: membership.Unborn(r.GetLeader() != nil, r.GetEpoch(), len(r.GetMembers()))}, nil
}

// joiner asks members to be admitted. All its requests carry one nonce, so that
// however many of them arrive, one join comes of them; but another one once this
// node has accepted another founder.
type joiner struct {
	n        *node
	lastRing lastRing

	complaints complaints // of both searches
	answers    answers
}

// byAddresses asks the addresses given by --join, and those of former fellow
// members, in turn, until one admits this node or says that it never will.
func (j *joiner) byAddresses(ctx context.Context) outcome {
	venues := membership.Addresses(j.n.o.Join, j.lastRing.addresses())
	var search membership.Search
	for {
		search.Begin(venues)
		if o := j.round(ctx, &search, venues[0]); o != nil {
			return *o
		}
		if !connect.Wait(ctx, search.Pause()) {
			return outcome{err: ctx.Err()}
		}
	}
}

// byDiscovery asks whomever discovery finds. It returns who founds with it if
// this node may found.
func (j *joiner) byDiscovery(ctx context.Context) outcome {
	var search membership.Search
	for {
		f, err := j.n.discovery.Seek(ctx)
		if err != nil {
			return outcome{err: fmt.Errorf("look for a ring: %w", err)}
		}
		search.Begin(membership.Found(f.LeaderAddresses, f.FromAddresses))
		pause := search.Pause()
		if f.Founder {
			switch there, err := j.ringThere(ctx); {
			case err != nil:
				return outcome{err: err}
			case !there:
				return outcome{founder: &f}
			}
			// The other search joins it; the next Seek says that nothing was founded.
			pause = durations.JoinAgain.Longest
		}
		if o := j.round(ctx, &search, membership.Venue{}); o != nil {
			return *o
		}
		if !connect.Wait(ctx, pause) {
			return outcome{err: ctx.Err()}
		}
	}
}

// round asks everybody of one round, in turn. It returns how the search ended, nil
// if it goes on with first.
func (j *joiner) round(ctx context.Context, search *membership.Search, first membership.Venue) *outcome {
	for v, ok := search.Next(); ok; v, ok = search.Next() {
		resp, err := j.ask(ctx, v.Addresses)
		if err == nil {
			return &outcome{resp: resp}
		}
		via, why := strings.Join(v.Addresses, ", "), refusal(err)
		if v.Final(why) {
			if reason.Of(err) == "OTHER_RING" && j.lastRing.ringID != "" {
				return &outcome{err: fmt.Errorf("join via %s: %w; to give the former ring up, remove %s", via, inWords{err}, j.n.lastRingPath())}
			}
			return &outcome{err: fmt.Errorf("join via %s: %w", via, inWords{err})}
		}
		if v.Expected(why) {
			continue
		}
		next := fmt.Sprintf("%s in %v", cmp.Or(strings.Join(first.Addresses, ", "), "who answers"), search.Pause())
		if left := search.Left(); len(left) > 0 {
			next = strings.Join(left[0].Addresses, ", ") + " at once"
		}
		j.complain(err, via, next)
	}
	return nil
}

func (j *joiner) ask(ctx context.Context, addresses []string) (*arcv1.JoinResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, durations.JoinCall)
	defer cancel()
	late := time.AfterFunc(durations.JoinLate, func() { j.tellLate(addresses) })
	defer late.Stop()
	conn, err := j.n.dialAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	o, nonce := &j.n.o, j.n.acceptance.nonce()
	resp, err := arcv1.NewArcServiceClient(conn).Join(ctx, &arcv1.JoinRequest{
		Cluster: o.Cluster, Name: o.Name, Incarnation: j.n.incarnation, Addresses: j.n.reachedAt(),
		Witness: o.Witness, OnJoin: o.OnJoin.Number(), RingId: j.lastRing.ringID, Nonce: nonce, Version: o.Version, LogVersion: ring.LogVersion,
	})
	if err == nil && nonce != j.n.acceptance.nonce() {
		return nil, fmt.Errorf("join via %s: another founder was accepted meanwhile", strings.Join(addresses, ", "))
	}
	return resp, err
}

// ringThere asks every address given by --join, for a bounded time, whether a
// ring of this cluster is there already. One that does not answer by then may be
// that of a machine that is down.
func (j *joiner) ringThere(ctx context.Context) (bool, error) {
	n := j.n
	asking, cancel := context.WithTimeout(ctx, durations.RingThere)
	defer cancel()
	var there atomic.Bool
	var questions sync.WaitGroup
	for _, a := range n.o.Join {
		questions.Go(func() {
			r, err := n.standingAt(asking, []string{a}, &peerv1.StandingRequest{Cluster: n.o.Cluster})
			if err == nil && r.GetCluster() == n.o.Cluster && r.GetRingId() != "" {
				n.log.Warn("a ring of this cluster is there already: it is joined, and none is founded", "ring", r.GetRingId(), "peer", r.GetSelf(), "via", a)
				there.Store(true)
				cancel() // one is enough
			}
		})
	}
	questions.Wait()
	if there.Load() {
		return true, nil
	}
	return false, ctx.Err()
}

// inWords is a member's error as people read it: gRPC's own Error begins with a
// code that means nothing to them.
type inWords struct{ error }

func (w inWords) Error() string { return foreign.Plain(w.error.Error()) }

func (w inWords) Unwrap() error { return w.error }

// refusal is what an error says to a joiner.
func refusal(err error) membership.Refusal {
	switch code := status.Code(err); {
	case errors.Is(err, connect.ErrOwn):
		return membership.Own
	case code == codes.FailedPrecondition:
		return membership.Elsewhere
	case code == codes.AlreadyExists, code == codes.InvalidArgument, code == codes.Unimplemented:
		return membership.Never
	}
	return membership.NotNow
}
