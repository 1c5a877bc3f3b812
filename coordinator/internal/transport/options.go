package transport

import (
	"context"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
)

const (
	// A queue holds this much while its peer is connected; the oldest goes
	// first.
	queueMessages = 1024
	// And this many messages while it is not: old raft messages are useless,
	// and a flood of them would only delay the first useful one.
	queueMessagesDown = 64

	// So many messages of at most that size are sent again if they may not have
	// been acknowledged on a connection that broke or was replaced.
	recentMessages = 64
	recentSize     = 16 << 10
)

// dialRules are how a stream to a peer is tried.
var dialRules = policy.Rules{
	Stagger: durations.PeerStagger,
	Overlap: durations.PeerOverlap, LateOverlap: durations.PeerLateOverlap, EarlyRounds: 10,
	Answer:  durations.PeerAnswer,
	Most:    limits.PeerTries,
	Backoff: durations.PeerBackoff, Spread: true,
	Slow: durations.PeerSlow, Spare: durations.PeerSpare,
	// A pause of 80 ms. Most likely the process has ended, everybody notices
	// at the same moment, and redials would compete with the election that
	// follows; soon it is known, by Quiet or SetPeers, who is dead. A peer that
	// lives opens a stream to us, and that ends the pause.
	CutFailures: 5,
	SilentEvery: durations.PeerStallEvery,
}

// Identity is what this coordinator says about itself in its hello.
type Identity struct {
	Cluster string
	// RingID is empty while it is not known which ring will be joined.
	RingID string
	// ID is 0 until this node has joined.
	ID          uint64
	Incarnation uint64
	Name        string
	// Addresses are where this coordinator is reached, HOST:PORT: a member
	// that does not know this one yet dials back to them. Sent are the first
	// 16 that are of that form. They may change without SelfChanged: only
	// later hellos tell the new ones. Never modified in place.
	Addresses []string
	// Epoch of the ring as known here. It goes into notices of eviction only,
	// and may change without SelfChanged.
	Epoch uint64
}

// sameHello says whether streams that were opened under one identity are good
// for the other.
func (i Identity) sameHello(o Identity) bool {
	return i.Cluster == o.Cluster && i.RingID == o.RingID && i.ID == o.ID && i.Incarnation == o.Incarnation && i.Name == o.Name
}

// Options is what New needs, all of it. The callbacks are called from the transport's
// goroutines, several at once; they must return quickly and must never wait
// for Close. Self, Gone and Local must not call the transport, which may hold its lock.
type Options struct {
	// Self tells who this coordinator is now. When the answer changes, other
	// than in Epoch and Addresses, SelfChanged has to be called.
	Self func() Identity
	// Deliver takes a message. Those of one stream come in order, with From
	// and Incarnation as its hello told them, whatever the sender put there.
	// While it does not return, its stream is not read.
	Deliver func(election.Message)
	// PeerDown says that messages to or from a peer may have been lost: a
	// stream broke, was replaced by a fresh one, or a snapshot was dropped. It
	// is not evidence of death. A Quiet called from within it keeps the stream
	// from being redialled at once.
	PeerDown func(id uint64)
	// Evicted takes the answer of a member which says that this node is none
	// any more. Ring and id are checked to be our own; From is the member that
	// was dialled, and may not be the one who answers. It may come many times.
	Evicted func(election.Message)
	// Gone says whether an id was a member of our ring once and is none any
	// more. Asked by SetPeers too, so the answer has to be the new one when
	// that is called.
	Gone func(id uint64) bool

	// SpeaksFor says why the other end of a stream, by whose context it is asked, is
	// not the member with an id and a name.
	SpeaksFor func(ctx context.Context, id uint64, name string) error
	// Sign lets others pass on what this node says for itself. Passed says why a
	// message that the peer passes on is not believed.
	Sign   func(*election.Message)
	Passed func(election.Message) error
	// Admitted is called with the context of a stream to us whose hello was
	// good.
	Admitted func(context.Context)
	// Local reports whether an address is this machine's now.
	Local func(netip.Addr) bool
	// Network returns the network on which this machine has an address.
	Network func(netip.Addr) paths.Network
	// PathsChanged tells that paths are down, up again or gone. Calls do not overlap.
	PathsChanged func(paths.News)

	Logger hclog.Logger
	// Dialer opens connections.
	Dialer *connect.Dialer
	// flushWait, if not 0, replaces the constant: a test must not fail on a slow moment.
	flushWait time.Duration
}

// ServerOptions returns what a gRPC server needs that serves ServeStream: the
// bound of a message, and fixed windows, which save the bandwidth estimator's
// pings.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(limits.Wire),
		grpc.StaticStreamWindowSize(limits.StreamWindow),
		grpc.StaticConnWindowSize(limits.ConnWindow),
	}
}
