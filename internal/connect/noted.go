package connect

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
)

// Noted are a client's credentials that tell why a handshake failed: gRPC keeps only
// the text.
type Noted struct {
	credentials.TransportCredentials
	// Failed is told on the connection's goroutine.
	Failed func(error)
}

// Clone is credentials.TransportCredentials'.
func (n Noted) Clone() credentials.TransportCredentials { return n }

// ClientHandshake is credentials.TransportCredentials'.
func (n Noted) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := n.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		n.Failed(err)
	}
	return conn, info, err
}
