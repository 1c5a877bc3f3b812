package testserver

import (
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"
)

// Host is a server with the connections that it accepted.
type Host struct {
	// Addr is where it listens.
	Addr string

	lis    net.Listener
	server *grpc.Server
	ended  chan struct{}

	mu    sync.Mutex
	conns []net.Conn
	slam  int
}

// Listen serves at an address.
func Listen(network, addr string, register func(grpc.ServiceRegistrar), opts ...grpc.ServerOption) (*Host, error) {
	lis, err := net.Listen(network, addr)
	if err != nil {
		return nil, fmt.Errorf("test server: %w", err)
	}
	return Serve(lis, register, opts...), nil
}

// Serve serves what a listener accepts.
func Serve(lis net.Listener, register func(grpc.ServiceRegistrar), opts ...grpc.ServerOption) *Host {
	h := &Host{Addr: lis.Addr().String(), lis: lis, server: grpc.NewServer(opts...), ended: make(chan struct{})}
	register(h.server)
	go func() {
		defer close(h.ended)
		_ = h.server.Serve(door{lis, h}) // ends with Stop, or with the listener
	}()
	return h
}

// Stop closes the listener and all connections, as the end of a process does, and
// waits for the calls. It may be called again.
func (h *Host) Stop() {
	h.server.Stop()
	<-h.ended
}

// Break closes the connections; the host goes on listening.
func (h *Host) Break() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}

// Slam lets so many more connections in and closes each at once, then it stops
// listening.
func (h *Host) Slam(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slam = n
}

// Accepted is how many connections were let in since the last Break.
func (h *Host) Accepted() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// door is the listener as the server sees it.
type door struct {
	net.Listener
	h *Host
}

func (d door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil || d.h.admit(c) {
			return c, err
		}
		_ = c.Close()
	}
}

func (h *Host) admit(c net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slam == 0 {
		h.conns = append(h.conns, c)
		return true
	}
	if h.slam--; h.slam == 0 {
		_ = h.lis.Close()
	}
	return false
}
