package testserver

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Raw is a client that speaks HTTP/2 as no library would.
type Raw struct {
	t testing.TB
	*http2.Framer
	// StreamWindow is what the server takes of a stream that nobody reads, ConnWindow
	// what it takes of the connection at first. Both are as it said so far.
	StreamWindow, ConnWindow int
}

// NewRaw speaks on a connection, which it closes at the end of the test.
func NewRaw(t testing.TB, conn net.Conn) *Raw {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	r := &Raw{t: t, Framer: http2.NewFramer(conn, conn), ConnWindow: 65535}
	_, err := conn.Write([]byte(http2.ClientPreface))
	r.check(err)
	r.check(r.WriteSettings())
	r.Sync()
	return r
}

func (r *Raw) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Sync waits until the server has taken all that was sent, and returns the streams that
// it has ended meanwhile, with why.
func (r *Raw) Sync() map[uint32]http2.ErrCode {
	r.t.Helper()
	ended := map[uint32]http2.ErrCode{}
	r.check(r.WritePing(false, [8]byte{1}))
	for {
		frame, err := r.ReadFrame()
		r.check(err)
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				r.StreamWindow = int(v)
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				r.ConnWindow += int(f.Increment)
			}
		case *http2.RSTStreamFrame:
			ended[f.StreamID] = f.ErrCode
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				ended[f.StreamID] = http2.ErrCodeNo
			}
		case *http2.PingFrame:
			if f.IsAck() {
				return ended
			}
		}
	}
}

// Open begins a call. Its headers have as many bytes as is said, as HTTP/2 counts them,
// or as many as they need if that is more.
func (r *Raw) Open(id uint32, path string, headers int) {
	r.t.Helper()
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "arc"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}, {Name: "x"},
	}
	size := 0
	for _, f := range fields {
		size += int(f.Size())
	}
	fields[len(fields)-1].Value = strings.Repeat("x", max(headers-size, 0))
	var block bytes.Buffer
	pack := hpack.NewEncoder(&block)
	for _, f := range fields {
		r.check(pack.WriteField(f))
	}
	first := bytes.Clone(block.Next(frame))
	r.check(r.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: block.Len() == 0}))
	for block.Len() > 0 {
		part := bytes.Clone(block.Next(frame))
		r.check(r.WriteContinuation(id, block.Len() == 0, part))
	}
}

// Send sends data of a call, whether there is a window for it or not.
func (r *Raw) Send(id uint32, data []byte) {
	r.t.Helper()
	for len(data) > 0 {
		n := min(len(data), frame)
		r.check(r.WriteData(id, false, data[:n]))
		data = data[n:]
	}
}

// frame is the longest frame that every server takes.
const frame = 16 << 10
