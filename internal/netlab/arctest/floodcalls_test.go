package arctest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
)

const (
	halfOpen      = 500
	halfTLS       = 500
	unfinished    = 1000
	watchesAtOnce = 2000
)

// halfOpen holds connections on which no HTTP/2 is ever spoken.
func (f *flooder) halfOpen(ctx context.Context) error {
	words := []string{"", http2.ClientPreface[:12], http2.ClientPreface}
	f.hold(ctx, halfOpen, func(ctx context.Context, i int) {
		f.connected(ctx, i, 1, func(c *net.TCPConn) {
			if _, err := io.WriteString(c, words[i%len(words)]); err == nil {
				_, _ = io.Copy(io.Discard, c) // until the coordinator closes it
			}
		})
	})
	return nil
}

// halfTLS holds connections that say hello by TLS and nothing after it, and others that
// show a certificate of another secret.
func (f *flooder) halfTLS(ctx context.Context) error {
	pem, err := trust.Issue([]trust.Secret{trust.NewSecret()}, trust.Identity{Cluster: "arc", Role: trust.Member, Name: f.Member}, time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	wrong, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		return err
	}
	settings := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{wrong}, NextProtos: []string{"h2"}}
	f.hold(ctx, halfTLS, func(ctx context.Context, i int) {
		f.connected(ctx, i, 1, func(c *net.TCPConn) {
			if i%2 == 0 {
				_ = tls.Client(saysAlone{c}, settings).HandshakeContext(ctx) // it ends with the connection
				return
			}
			t := tls.Client(c, settings)
			if t.HandshakeContext(ctx) == nil {
				_, _ = io.Copy(io.Discard, t) // until the coordinator closes it
			}
		})
	})
	return nil
}

// saysAlone is a connection that passes nothing on of what comes, until its end.
type saysAlone struct{ *net.TCPConn }

func (s saysAlone) Read([]byte) (int, error) {
	_, err := io.Copy(io.Discard, s.TCPConn)
	return 0, cmp.Or(err, io.EOF)
}

// connected dials for attack number i, and calls use with the connection, which ends
// with ctx. It counts for n under way.
func (f *flooder) connected(ctx context.Context, i int, n int64, use func(*net.TCPConn)) {
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(f.From[i%len(f.From)], 0))
	c, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", f.At.String())
	if err != nil {
		f.fail(ctx, err)
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	f.count(n)
	defer f.count(-n)
	use(c.(*net.TCPConn))
}

// unfinished holds requests that never end, of each kind in turn.
func (f *flooder) unfinished(ctx context.Context) error {
	never := func(int) bool { return false }
	half := message(60 << 10)[:15<<10] // of all on a connection what its window holds
	f.holdCalls(ctx, unfinished, never, func(c *caller, i int, id uint32) error {
		switch i % 6 {
		case 0: // no body
			return c.open(id, "/arc.v1.ArcService/Status", nil, false)
		case 1: // half a body
			return c.open(id, "/arc.v1.ArcService/Evict", half, false)
		case 2: // a stream without a hello
			return c.open(id, "/arc.peer.v1.PeerService/Stream", nil, false)
		case 3: // a stream of probes without a probe
			return c.open(id, "/arc.peer.v1.ProbeService/Probe", nil, false)
		case 4: // one that is answered now and then
			return c.open(id, "/grpc.health.v1.Health/Watch", message(0), true)
		default: // a body of which a byte comes now and then
			c.trickle = append(c.trickle, id)
			return c.open(id, "/arc.v1.ArcService/Evict", half[:100], false)
		}
	})
	return nil
}

// watches holds watches, half of them on connections that nobody reads.
func (f *flooder) watches(ctx context.Context) error {
	deaf := func(conn int) bool { return conn%2 == 0 }
	f.holdCalls(ctx, watchesAtOnce, deaf, func(c *caller, _ int, id uint32) error {
		return c.open(id, "/arc.v1.ArcService/Watch", message(0), true)
	})
	return nil
}

// message returns a message of gRPC with so many zero bytes.
func message(size int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), make([]byte, size)...)
}

// caller is a connection on which HTTP/2 is spoken as no library would.
type caller struct {
	f    *flooder
	conn net.Conn
	*http2.Framer
	block   bytes.Buffer
	pack    *hpack.Encoder
	next    uint32
	trickle []uint32 // streams that get a byte now and then

	mu    sync.Mutex // guards what the reader leaves
	ended []uint32   // streams
	pings [][8]byte
}

// holdCalls opens as many connections as n requests need, and begins these, and each one
// again that the coordinator ends. Nothing is read of a connection that is deaf.
func (f *flooder) holdCalls(ctx context.Context, n int, deaf func(conn int) bool, begin func(c *caller, i int, id uint32) error) {
	const each = limits.ConnStreams
	f.hold(ctx, (n+each-1)/each, func(ctx context.Context, number int) {
		f.connected(ctx, number, 0, func(tcp *net.TCPConn) {
			conn, err := f.secured(ctx, tcp)
			if err != nil {
				f.fail(ctx, err)
				return
			}
			c := &caller{f: f, conn: conn, Framer: http2.NewFramer(conn, conn), next: 1}
			c.pack = hpack.NewEncoder(&c.block)
			requests := map[uint32]int{} // those under way, by stream
			defer func() { f.count(-int64(len(requests))) }()
			start := func(i int) error {
				requests[c.next] = i
				f.count(1)
				c.next += 2
				return begin(c, i, c.next-2)
			}
			if c.greet() != nil {
				return
			}
			closed := make(chan struct{})
			if deaf(number) {
				close(closed)
			} else {
				go func() { defer close(closed); c.read() }()
			}
			defer func() { _ = tcp.Close(); <-closed }()
			for i := number * each; i < min(n, (number+1)*each); i++ {
				if start(i) != nil {
					return
				}
			}
			tick := time.NewTicker(f.Pause)
			defer tick.Stop()
			for ctx.Err() == nil && established(tcp) {
				for _, id := range c.tend() {
					if i, ok := requests[id]; ok {
						delete(requests, id)
						f.count(-1)
						f.ended.Add(1)
						if start(i) != nil {
							return
						}
					}
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	})
}

// secured shows the flooder's certificate on a connection. One without any speaks in the
// clear.
func (f *flooder) secured(ctx context.Context, tcp *net.TCPConn) (net.Conn, error) {
	if f.holder == nil {
		return tcp, nil
	}
	conn, _, err := f.holder.Credentials().ClientHandshake(ctx, "", tcp)
	return conn, err
}

// greet allows the coordinator to send as much as it likes.
func (c *caller) greet() error {
	if _, err := io.WriteString(c.conn, http2.ClientPreface); err != nil {
		return err
	}
	if err := c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}); err != nil {
		return err
	}
	return c.WriteWindowUpdate(0, 1<<30)
}

// open begins a request.
func (c *caller) open(id uint32, path string, body []byte, end bool) error {
	c.block.Reset()
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "arc"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := c.pack.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	if body == nil {
		return nil
	}
	return c.WriteData(id, end, body)
}

// read takes what comes until the connection ends.
func (c *caller) read() {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return
		}
		c.f.read.Add(1)
		c.mu.Lock()
		switch fr := frame.(type) {
		case *http2.RSTStreamFrame:
			c.ended = append(c.ended, fr.StreamID)
		case *http2.MetaHeadersFrame, *http2.HeadersFrame, *http2.DataFrame:
			if frame.Header().Flags.Has(http2.FlagDataEndStream) {
				c.ended = append(c.ended, frame.Header().StreamID)
			}
		case *http2.PingFrame:
			if !fr.IsAck() {
				c.pings = append(c.pings, fr.Data)
			}
		}
		c.mu.Unlock()
	}
}

// tend answers what was asked, sends what is sent now and then, and returns the
// streams that the coordinator has ended.
func (c *caller) tend() (ended []uint32) {
	c.mu.Lock()
	ended, pings := c.ended, c.pings
	c.ended, c.pings = nil, nil
	c.mu.Unlock()
	c.trickle = slices.DeleteFunc(c.trickle, func(id uint32) bool { return slices.Contains(ended, id) })
	for _, data := range pings {
		_ = c.WritePing(true, data) // a connection that is broken is seen otherwise
	}
	for _, id := range c.trickle {
		_ = c.WriteData(id, false, []byte{0})
	}
	return ended
}

// established reports whether the other side has neither closed nor reset the
// connection, also where nothing is read.
func established(c *net.TCPConn) (yes bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	const tcpEstablished = 1
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		yes = err == nil && info.State == tcpEstablished
	})
	return yes && err == nil
}
