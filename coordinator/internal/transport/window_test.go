package transport

import (
	"net"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testserver"
)

// idlers is a service of calls that read little: one of them nothing at all, and the
// other one a message.
var idlers = grpc.ServiceDesc{ServiceName: "idlers", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{
	{StreamName: "Nothing", ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
		<-s.Context().Done()
		return nil
	}},
	{StreamName: "One", ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		<-s.Context().Done()
		return nil
	}},
}}

// What a stream that nobody reads can make gRPC keep has a bound, also if a message of it
// was taken. A byte more ends the stream, and the connection goes on.
func TestWhatNobodyReadsIsBounded(t *testing.T) {
	host, err := testserver.Listen("tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { s.RegisterService(&idlers, struct{}{}) }, ServerOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Stop()
	dial := func() *testserver.Raw {
		conn, err := net.Dial("tcp", host.Addr)
		if err != nil {
			t.Fatal(err)
		}
		return testserver.NewRaw(t, conn)
	}
	r := dial()
	if r.StreamWindow != limits.StreamWindow || r.ConnWindow != limits.ConnWindow {
		t.Errorf("windows of %d and %d bytes, want %d and %d", r.StreamWindow, r.ConnWindow, limits.StreamWindow, limits.ConnWindow)
	}
	for id, more := range []int{0, 1} {
		id := uint32(2*id + 1)
		r.Open(id, "/idlers/Nothing", 0)
		r.Send(id, make([]byte, limits.StreamWindow+more))
	}
	if ended := r.Sync(); len(ended) != 1 || ended[3] != http2.ErrCodeFlowControl {
		t.Errorf("ended %v, want the stream with a byte too many", ended)
	}

	r = dial()
	r.Open(1, "/idlers/One", 0)
	r.Send(1, []byte{0, 0, 1, 0, 0}) // a message of limits.Wire bytes, all of a field that nobody knows
	r.Send(1, append([]byte{0x7a, 0xfc, 0xff, 0x03}, make([]byte, limits.Wire-4)...))
	if ended := r.Sync(); len(ended) > 0 {
		t.Errorf("ended %v after the longest message", ended)
	}
	r.Send(1, make([]byte, limits.StreamMemory-limits.Wire+1))
	if ended := r.Sync(); len(ended) != 1 || ended[1] != http2.ErrCodeFlowControl {
		t.Errorf("ended %v, want the stream with more than %d bytes", ended, limits.StreamMemory)
	}
}
