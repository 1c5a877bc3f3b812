package coordinator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/loop"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/service"
	"github.com/arc-ring/arc/coordinator/internal/supervise"
	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/internal/wal"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	"github.com/arc-ring/arc/ring"
)

// node is one coordinator process: what lives longer than a membership.
type node struct {
	o           Options
	log         hclog.Logger
	clock       func() election.Instant
	incarnation uint64
	// former are the incarnations of earlier processes on the data directory,
	// newest first.
	former []uint64
	events publish.Events
	hub    *publish.Hub

	// trust has this node's keys; nil in the clear.
	trust *trust.Holder
	// believed are certificates that need no check when they are passed on.
	believed believed

	dir  *runDir
	disk *wal.Log
	// diskFailed keeps close from telling a failure that is told already.
	diskFailed bool
	listeners  *listeners
	servers    *service.Servers
	// house is held while files are made again, and from the beginning of the
	// process's end: a server that ends removes its socket, and that is no damage.
	house     sync.Mutex
	transport *transport.Transport
	// discovery is nil with NoAutodiscovery.
	discovery *discovery.Service
	monitor   *supervise.Supervisor
	// dialer dials every node but this one; local is what it asks.
	dialer *connect.Dialer
	local  *hostaddr.Table
	// place is where this node is reached.
	place      place
	acceptance acceptance
	tried      tries
	// words are those that former processes gave to founders; see wordsName.
	words   []discovery.Word
	foreign otherRings
	// hangups are the SIGHUPs of the process.
	hangups <-chan os.Signal
	// levelChanged has room for one token: the monitor has to be told the log
	// level. keysDue has, too: the keys are to be read again.
	levelChanged, keysDue chan struct{}
	// discoveryTold has room for one token: discovery has to be told again.
	discoveryTold chan struct{}

	// loop is the present membership's; nil while this node is no member.
	loop atomic.Pointer[loop.Loop]
	// identity is what peers are told, but for the addresses.
	identity atomic.Pointer[transport.Identity]

	// lacksRealtime: the ring's timing is meant for --realtime, and this node runs
	// without.
	lacksRealtime bool

	leaveSlot chan struct{} // one leave at a time
	leaving   atomic.Bool
	// rejoins is set when the first membership begins; Run's own.
	rejoins bool
	// undo gives back what open took, the last first.
	undo []func()

	// stopping ends when the node has to stop for another reason than Run's
	// context; its cause says why.
	stopping context.Context
	stopAs   context.CancelCauseFunc
}

// errLeft: the node left the ring on request and ends.
var errLeft = errors.New("left the ring")

func newNode(o Options) *node {
	n := &node{o: o, log: cmp.Or(o.Logger, hclog.NewNullLogger()), clock: monotime.Now, leaveSlot: make(chan struct{}, 1), discoveryTold: make(chan struct{}, 1),
		levelChanged: make(chan struct{}, 1), keysDue: make(chan struct{}, 1), foreign: otherRings{heard: map[string]otherRing{}}, tried: tries{by: map[string]failure{}},
	}
	n.events = publish.Events{Name: o.Name, Cluster: o.Cluster, Version: o.Version, Wall: time.Now, MonitorMissing: func() string { return n.monitor.Why() }}
	n.local = &hostaddr.Table{}
	n.dialer = &connect.Dialer{Own: n.listensAt, Local: n.local}
	n.acceptance.renew()
	n.place.changed = make(chan struct{})
	n.hub = publish.NewHub(n.clock, &publish.View{Phase: publish.Joining, Ring: &ring.State{}})
	n.stopping, n.stopAs = context.WithCancelCause(context.Background())
	return n
}

// randomID draws 64 random bits that are not 0.
func randomID() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if id := binary.NativeEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

// self is what peers are told now.
func (n *node) self() transport.Identity {
	id := *n.identity.Load()
	id.Addresses = n.reachedAt()
	return id
}

// outside publishes that this node is no member now.
func (n *node) outside(p publish.Phase, ringID string) {
	// First, so that what is queued still leaves, under the old identity.
	n.transport.SetPeers(nil)
	n.tried.forget()
	n.identity.Store(&transport.Identity{Cluster: n.o.Cluster, Name: n.o.Name, Incarnation: n.incarnation, RingID: ringID})
	n.hub.Publish(&publish.View{Phase: p, RingID: ringID, Ring: &ring.State{}}, nil)
	n.transport.SelfChanged()
}

// become publishes this node's new identity as a member, before any message
// under it leaves.
func (n *node) become(e entry) {
	n.identity.Store(&transport.Identity{Cluster: n.o.Cluster, Name: n.o.Name, Incarnation: n.incarnation, RingID: e.ringID, ID: e.id})
	n.transport.SelfChanged()
	n.transport.SetPeers(peersOfMembers(e.members))
}

// ringChanged tells those who work by the ring's state.
func (n *node) ringChanged(s *ring.State) {
	id := *n.identity.Load()
	id.Epoch = s.Epoch
	n.identity.Store(&id)
	n.mindRealtime(s.Settings)
	n.discoveryDue()
}

// peersChanged takes the core's word to whom messages travel from now on.
func (n *node) peersChanged(peers []election.Peer) {
	n.transport.SetPeers(slices.DeleteFunc(slices.Clone(peers), func(p election.Peer) bool { return len(p.Addresses) == 0 }))
	for _, p := range peers {
		if p.Retired { // if it lives, it opens a stream to us
			n.transport.Quiet(p.ID)
		}
	}
}

// gone reports whether an id was a member's and may be told that it is none any
// more. Former members whose log or answers raft still needs may not: they
// would drop what the others cannot go on without. Ring and needs are of one
// view, and so of one moment of the core: what a deferral holds back does not
// matter.
func (n *node) gone(id uint64) bool {
	v := n.hub.Load()
	return v.Ring.RingID != "" && v.Ring.Gone(id) && !slices.Contains(v.Status.Needed, id)
}

// discoveryDue asks for tellDiscovery off the event loop: it sends datagrams.
func (n *node) discoveryDue() { connect.Notify(n.discoveryTold) }

// tellDiscoveryWhenDue says whom joiners should be sent to. Discovery has no part in
// a failover, and hosts have better things to do then than to read each other's
// datagrams.
func (n *node) tellDiscoveryWhenDue(ctx context.Context) {
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.discoveryTold:
		}
		// Nobody waits for the first word longer than needed.
		if told && !connect.Wait(ctx, durations.Idle) {
			return
		}
		told = n.tellDiscovery() || told
	}
}

// tellDiscovery says which ring this node is in and who leads it. It reports false
// while the node is in none: enter tells which ring is looked for.
func (n *node) tellDiscovery() bool {
	v, l, ok := n.hub.Leader()
	if v.ID == 0 {
		return false
	}
	r := &discoveryv1.Ring{RingId: v.RingID, RefoundedAt: v.Ring.Refounding.At, RefoundedFrom: v.Ring.Refounding.From}
	if ok {
		r.Leader, r.LeaderAddresses, r.Leads = l.Name, l.Addresses, l.ID == v.ID
	}
	n.discovery.SetRing(r)
	return true
}

func peersOf(members []ring.Member) []election.Peer {
	return ring.Each(members, func(m ring.Member) election.Peer { return election.Peer{Member: m} })
}
