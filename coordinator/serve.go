package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/transport"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// callMax bounds a unary call whose client set no deadline, so that no
	// forgotten call is held for ever.
	callMax = 60 * time.Second
	// streamsPerConn bounds what one connection over the network may have under
	// way. Nobody there needs more: a peer and a monitor have one stream each.
	streamsPerConn = 16
	// localStreamsPerConn is the same for the unix socket.
	localStreamsPerConn = 256
	// handshakeWait is how long a connection may take to speak HTTP/2.
	handshakeWait = 5 * time.Second
	// headersMax bounds the metadata of a call, bytes.
	headersMax = 16 << 10
	// gracefulWait is how long calls under way may take to end at the stop.
	gracefulWait = 500 * time.Millisecond
)

// servers are the two gRPC servers: one for the network, one for the unix
// socket, which alone has the Local service.
type servers struct {
	tcp, unix *grpc.Server
	door      *door
	wg        sync.WaitGroup
	// serveUnix serves at one more unix socket; set by serve.
	serveUnix func(net.Listener)
}

func newServers(n *node) *servers {
	s := &servers{door: newDoor(n.log, budgetsFor(fileLimit()), n.memberHosts)}
	make := func(streams uint32) *grpc.Server {
		opts := append(transport.ServerOptions(),
			grpc.MaxConcurrentStreams(streams),
			grpc.InTapHandle(s.door.call),
			grpc.ConnectionTimeout(handshakeWait),
			grpc.MaxHeaderListSize(headersMax),
			// A client that vanished is noticed, one that pings often is not
			// punished: peers and monitors do.
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
			grpc.UnaryInterceptor(unaryErrors), grpc.StreamInterceptor(streamErrors))
		g := grpc.NewServer(opts...)
		arcv1.RegisterArcServer(g, arcService{n: n})
		arcv1.RegisterPeerServer(g, peerService{n: n})
		arcv1.RegisterProbeServer(g, probeService{n: n})
		healthv1.RegisterHealthServer(g, healthService{n: n})
		return g
	}
	s.tcp, s.unix = make(streamsPerConn), make(localStreamsPerConn)
	arcv1.RegisterLocalServer(s.unix, localService{n: n})
	reflection.Register(s.tcp)
	reflection.Register(s.unix)
	return s
}

// serve starts serving; the first error that ends a listener comes to failed.
func (s *servers) serve(l *listeners, failed func(error)) {
	run := func(g *grpc.Server, lis net.Listener) {
		s.wg.Go(func() {
			// Serve returns nil after a stop.
			if err := g.Serve(lis); err != nil && !errors.Is(err, net.ErrClosed) { // closed by its owner
				failed(fmt.Errorf("serve at %s: %w", lis.Addr(), err))
			}
		})
	}
	for _, lis := range l.tcp {
		run(s.tcp, doorListener{lis, s.door, stranger})
	}
	run(s.unix, doorListener{l.unix, s.door, local})
	s.serveUnix = func(lis net.Listener) { run(s.unix, doorListener{lis, s.door, local}) }
}

// cut closes all connections at once.
func (s *servers) cut() {
	s.tcp.Stop()
	s.unix.Stop()
}

// stop lets calls under way end for a moment, closes all connections and waits.
func (s *servers) stop() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var both sync.WaitGroup
		both.Go(s.tcp.GracefulStop)
		both.Go(s.unix.GracefulStop)
		both.Wait()
	}()
	select {
	case <-done:
	case <-time.After(gracefulWait):
		s.cut()
		<-done
	}
	s.wg.Wait()
	s.door.close()
}

func unaryErrors(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callMax)
		defer cancel()
	}
	resp, err := handler(ctx, req)
	return resp, reason.ToStatus(err)
}

func streamErrors(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return reason.ToStatus(handler(srv, stream))
}
