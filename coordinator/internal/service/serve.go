package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/supervise"
	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// Loop is what the services need of the membership's event loop.
type Loop interface {
	Report(ring.Opinion) error
	Certify(election.Certificate) error
	Pinged(election.Ping) (taken bool)
	Request(context.Context, election.Request) (election.Done, error)
	Standing(ctx context.Context, id uint64) (election.Standing, error)
	Progress(context.Context) (index map[uint64]uint64, committed uint64)
	MonitorRelinked(from, to string, temporary bool)
	// Do calls f on the loop's goroutine.
	Do(f func()) error
	// Stuck is for how long it has been at one turn.
	Stuck() time.Duration
}

// Options is what the services work with.
type Options struct {
	Name, Cluster string
	Incarnation   uint64
	Realtime      bool
	// Trust has this node's keys. Without it the network is in the clear, and
	// Insecure says that all are believed who come over it.
	Trust    *trust.Holder
	Insecure bool
	// Security is how the network is kept safe, for `arc status`.
	Security string
	Log      hclog.Logger
	Clock    func() election.Instant
	Hub      *publish.Hub
	Events   publish.Events
	Monitor  *supervise.Supervisor
	// Loop returns nil while this node is no member.
	Loop func() Loop
	// LevelChanged gives a token when the monitor has to be told the log level.
	LevelChanged <-chan struct{}

	// Dial connects to another member. Local reports whether an address is this
	// machine's.
	Dial  func(context.Context, ring.Member) (*grpc.ClientConn, error)
	Local func(netip.Addr) bool
	// Heard reports whether a process with the secret was heard from an address lately;
	// nil without discovery.
	Heard func(netip.Addr) bool
	// ServeStream serves a peer's stream of messages.
	ServeStream func(peerv1.PeerService_StreamServer) error
	// Leave takes this node out of the ring, and Left ends it after that.
	Leave func(context.Context) (epoch uint64, err error)
	Left  func()
	// Certified is told of each death certificate that its member's own monitor brings;
	// nil if nobody asks.
	Certified     func(election.Certificate)
	AcceptFounder func(*peerv1.AcceptFounderRequest) (*peerv1.AcceptFounderResponse, error)
	// Standstill says why this node is in no ring yet, empty if nothing is known.
	Standstill func() string
	// Paths are the ways to the other members, by id.
	Paths func() map[uint64][]*arcv1.Path
	// OtherRings are the rings of this cluster beside the own one.
	OtherRings func(own string) []*arcv1.OtherRing
	// RealtimeNotes says who of the ring runs without --realtime, should a change
	// of the settings ask for it.
	RealtimeNotes func(ctx context.Context, was ring.Settings, s *ring.State) []string
}

// Servers are the two gRPC servers: one for the network, one for the unix
// socket, which alone has the Local service.
type Servers struct {
	arcv1.UnimplementedArcServiceServer
	peerv1.UnimplementedPeerServiceServer
	peerv1.UnimplementedProbeServiceServer
	localv1.UnimplementedLocalServiceServer

	o         Options
	tcp, unix *grpc.Server
	door      *door
	hosts     atomic.Pointer[ringHosts]
	wg        sync.WaitGroup
	// ServeUnix serves at one more unix socket; set by Serve.
	ServeUnix func(net.Listener)

	settingsMu sync.Mutex // one read-modify-write of the settings at a time
	// leavers counts the members whose leave this leader has under way.
	leavers atomic.Int32
	// localCalls counts the calls at the unix socket that are under way; localAnswer
	// is when one last got its answer.
	localCalls  atomic.Int32
	localAnswer atomic.Int64
}

// New makes servers that serve nothing before Serve.
func New(o Options) *Servers {
	s := &Servers{o: o}
	s.door = newDoor(o.Log, budgetsFor(fileLimit()), s.memberHosts, o.Local)
	s.door.clear, s.door.heard = o.Trust == nil, o.Heard
	make := func(streams uint32, creds credentials.TransportCredentials, unary grpc.UnaryServerInterceptor) *grpc.Server {
		opts := append(transport.ServerOptions(),
			grpc.Creds(creds),
			grpc.MaxConcurrentStreams(streams),
			grpc.InTapHandle(s.door.call),
			grpc.ConnectionTimeout(durations.Handshake),
			grpc.MaxHeaderListSize(limits.Headers),
			// A client that vanished is noticed, one that pings often is not
			// punished: peers and monitors do.
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: durations.ServerKeepAlive, Timeout: durations.ServerKeepAliveAnswer}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: durations.ClientKeepAliveLeast, PermitWithoutStream: true}),
			grpc.ChainUnaryInterceptor(unary, s.admit), grpc.ChainStreamInterceptor(streamErrors, s.admitStream))
		g := grpc.NewServer(opts...)
		arcv1.RegisterArcServiceServer(g, s)
		peerv1.RegisterPeerServiceServer(g, s)
		peerv1.RegisterProbeServiceServer(g, s)
		healthv1.RegisterHealthServer(g, healthService{n: s})
		return g
	}
	network := insecure.NewCredentials()
	if o.Trust != nil {
		network = doorCredentials{o.Trust.Credentials(), s.door}
	}
	s.tcp = make(limits.ConnStreams, network, unaryErrors)
	s.unix = make(limits.LocalStreams, unixCredentials{insecure.NewCredentials()}, s.localErrors)
	localv1.RegisterLocalServiceServer(s.unix, s)
	reflection.Register(s.tcp)
	reflection.Register(s.unix)
	return s
}

// Recognise puts a call's connection on the members' account, if there is room.
func (s *Servers) Recognise(ctx context.Context) { s.door.recognise(ctx) }

// Leaving reports whether other members leave, with this node's help as a leader.
func (s *Servers) Leaving() bool { return s.leavers.Load() > 0 }

// memberHosts are the addresses at which the members' machines are reached. Each
// newcomer is compared with them, so they are kept until the ring changes.
func (s *Servers) memberHosts() map[netip.Addr]bool {
	state := s.o.Hub.Load().Ring
	if kept := s.hosts.Load(); kept != nil && kept.of == state {
		return kept.hosts
	}
	hosts := map[netip.Addr]bool{}
	for _, m := range state.Members {
		for _, a := range m.Addresses {
			if p, err := netip.ParseAddrPort(a); err == nil {
				hosts[hostOf(p)] = true
			}
		}
	}
	s.hosts.Store(&ringHosts{state, hosts})
	return hosts
}

// ringHosts are the hosts of a ring.
type ringHosts struct {
	of    *ring.State
	hosts map[netip.Addr]bool
}

// hostOf is a machine's address as it is compared.
func hostOf(p netip.AddrPort) netip.Addr { return p.Addr().Unmap().WithZone("") }

// Serve starts serving; the first error that ends a listener comes to failed.
func (s *Servers) Serve(tcp []net.Listener, unix net.Listener, failed func(error)) {
	run := func(g *grpc.Server, lis net.Listener) {
		s.wg.Go(func() {
			// Serve returns nil after a stop.
			if err := g.Serve(lis); err != nil && !errors.Is(err, net.ErrClosed) { // closed by its owner
				failed(fmt.Errorf("serve at %s: %w", lis.Addr(), err))
			}
		})
	}
	for _, lis := range tcp {
		run(s.tcp, doorListener{lis, s.door, stranger})
	}
	run(s.unix, doorListener{unix, s.door, local})
	s.ServeUnix = func(lis net.Listener) { run(s.unix, doorListener{lis, s.door, local}) }
}

// Cut ends service where others wait for the end of this process, and so closes
// the connections over the network at once. If a program of this machine is about
// to read an answer, those at the unix socket stay for durations.LastAnswers, and
// Stop waits for that.
func (s *Servers) Cut() {
	s.tcp.Stop()
	if s.localCalls.Load() == 0 && s.o.Clock().Sub(election.Instant(s.localAnswer.Load())) >= durations.LastAnswers {
		s.unix.Stop()
		return
	}
	time.AfterFunc(durations.LastAnswers, s.unix.Stop)
}

// Stop lets calls under way end for a moment, closes all connections and waits.
func (s *Servers) Stop() {
	late := time.AfterFunc(durations.CallsEnd, func() { s.tcp.Stop(); s.unix.Stop() })
	defer late.Stop()
	var both sync.WaitGroup
	both.Go(s.tcp.GracefulStop)
	both.Go(s.unix.GracefulStop)
	both.Wait()
	s.wg.Wait()
	s.door.close()
}

// localErrors is unaryErrors for the unix socket, and counts the calls there.
func (s *Servers) localErrors(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	s.localCalls.Add(1)
	defer func() {
		s.localAnswer.Store(int64(s.o.Clock()))
		s.localCalls.Add(-1)
	}()
	return unaryErrors(ctx, req, info, handler)
}

func unaryErrors(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, durations.Call)
		defer cancel()
	}
	resp, err := handler(ctx, req)
	return resp, reason.ToStatus(err)
}

func streamErrors(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return reason.ToStatus(handler(srv, stream))
}
