package connect

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/arc-ring/arc/internal/limits"
)

// A server can make a client keep so much of a stream that is not read, and a byte more
// ends the stream.
func TestWhatAClientDoesNotReadIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cc, err := new(Dialer).Conn(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	cc.Connect()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fr := http2.NewFramer(conn, conn)
	_, err = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	check(err)
	check(fr.WriteSettings())
	called := make(chan error, 1)
	go func() {
		_, err := healthpb.NewHealthClient(cc).Watch(t.Context(), &healthpb.HealthCheckRequest{}) // and it reads nothing
		called <- err
	}()
	// await returns the next frame of a kind.
	window, all := 65535, 65535
	await := func(kind http2.FrameType) http2.Frame {
		t.Helper()
		for {
			f, err := fr.ReadFrame()
			check(err)
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
					window = int(v)
				}
			case *http2.WindowUpdateFrame:
				all += int(f.Increment)
			}
			if f.Header().Type == kind {
				return f
			}
		}
	}
	id := await(http2.FrameHeaders).Header().StreamID
	check(<-called)
	if window != limits.Window || all != limits.Window {
		t.Errorf("windows of %d and %d bytes, want %d", window, all, limits.Window)
	}
	var block bytes.Buffer
	pack := hpack.NewEncoder(&block)
	check(pack.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}))
	check(pack.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/grpc"}))
	check(fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}))
	for range limits.Window / (16 << 10) {
		check(fr.WriteData(id, false, make([]byte, 16<<10)))
	}
	check(fr.WritePing(false, [8]byte{1}))
	for pinged := false; !pinged; {
		f, err := fr.ReadFrame()
		check(err)
		if f.Header().Type == http2.FrameRSTStream {
			t.Fatalf("the stream ended within its window: %v", f)
		}
		pinged = f.Header().Type == http2.FramePing
	}
	check(fr.WriteData(id, false, []byte{0}))
	if f := await(http2.FrameRSTStream).(*http2.RSTStreamFrame); f.StreamID != id || f.ErrCode != http2.ErrCodeFlowControl {
		t.Errorf("a byte more: %v", f)
	}
}
