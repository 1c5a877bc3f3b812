package sockio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"

	"github.com/arc-ring/arc/internal/testserver"
	"github.com/arc-ring/arc/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// networks run a test over both kinds of sockets.
func networks(t *testing.T, test func(t *testing.T, a, b net.Conn)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			a, b := pair(t, network)
			test(t, a, b)
		})
	}
}

func pair(t testing.TB, network string) (a, b net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a, b = New(c), New(s)
	for _, x := range []net.Conn{a, b} {
		if _, ok := x.(*Conn); !ok {
			t.Fatalf("%T is not wrapped", x)
		}
		t.Cleanup(func() { x.Close() })
	}
	return a, b
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	networks(t, func(t *testing.T, a, b net.Conn) {
		// More than the kernel buffers, so that the writer has to wait.
		sent := make([]byte, 16<<20)
		random := rand.NewChaCha8([32]byte{1})
		random.Read(sent)
		wrote := make(chan error, 1)
		go func() {
			n, err := a.Write(sent)
			if n != len(sent) {
				err = errors.Join(err, io.ErrShortWrite)
			}
			wrote <- errors.Join(err, a.Close())
		}()
		got, err := io.ReadAll(b) // which reads again after the end of file
		if err != nil {
			t.Error(err)
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came, %d were sent, and they are not the same", len(got), len(sent))
		}
	})
}

func TestReadOnReady(t *testing.T) {
	networks(t, func(t *testing.T, a, b net.Conn) {
		pool := &countingPool{BufferPool: mem.DefaultBufferPool()}
		read := func() (*[]byte, int, error) { return b.(*Conn).ReadOnReady(512, pool) }
		go func() {
			testwait.Real(5*time.Millisecond, "in which the reader begins to wait, most times")
			a.Write([]byte("hello"))
		}()
		buf, n, err := read()
		if err != nil || string((*buf)[:n]) != "hello" {
			t.Fatalf("got %d bytes, %v", n, err)
		}
		pool.Put(buf)
		b.SetReadDeadline(time.Now().Add(time.Millisecond))
		if buf, _, err := read(); buf != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %v, %v", buf, err)
		}
		b.SetReadDeadline(time.Time{})
		a.Close()
		if buf, _, err := read(); buf != nil || err != io.EOF {
			t.Errorf("after the end: %v, %v", buf, err)
		}
		if pool.out != 0 {
			t.Errorf("%d buffers are not given back", pool.out)
		}
	})
}

type countingPool struct {
	mem.BufferPool
	out int
}

func (p *countingPool) Get(n int) *[]byte { p.out++; return p.BufferPool.Get(n) }
func (p *countingPool) Put(b *[]byte)     { p.out--; p.BufferPool.Put(b) }

func TestErrorsAreThoseOfTheNetPackage(t *testing.T) {
	a, b := pair(t, "tcp")
	if err := a.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := a.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read after the deadline: %v", err)
	}
	if _, err := a.Write(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("write after the deadline: %v", err)
	}
	a.SetDeadline(time.Time{})

	// Closed with something unread, b resets the connection.
	a.Write([]byte("x"))
	b.Read(make([]byte, 0))
	testwait.Real(time.Millisecond, "in which the byte arrives")
	b.Close()
	var op *net.OpError
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("read of a connection that was reset: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write on it: %v", err)
	}
	a.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after the close: %v", err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after the close: %v", err)
	}
}

func TestCloseEndsARead(t *testing.T) {
	networks(t, func(t *testing.T, a, _ net.Conn) {
		ended := make(chan error, 1)
		go func() {
			_, err := a.Read(make([]byte, 1))
			ended <- err
		}()
		testwait.Real(time.Millisecond, "in which the read begins, most times")
		a.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestOthersStayAsTheyAre(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if New(a) != a {
		t.Error("a pipe was wrapped")
	}
}

func TestGRPCSpeaksOverIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer testserver.Serve(wrapping{l}, func(s grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(s, health.NewServer()) }).Stop()
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return New(c), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	for range 100 {
		if _, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

type wrapping struct{ net.Listener }

func (w wrapping) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return New(c), nil
}

// BenchmarkEcho is a small message there and back, one millisecond after the last,
// as long as it runs, over the net package's connection and over a Conn. Of interest is the
// processor time.
func BenchmarkEcho(b *testing.B) {
	for _, plain := range []bool{true, false} {
		name := "Conn"
		if plain {
			name = "net"
		}
		b.Run(name, func(b *testing.B) {
			x, y := pair(b, "tcp")
			if plain {
				x, y = x.(*Conn).Conn, y.(*Conn).Conn
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.Copy(struct{ io.Writer }{y}, struct{ io.Reader }{y})
			}()
			buf := make([]byte, 64)
			var from, to syscall.Rusage
			b.ReportAllocs()
			syscall.Getrusage(syscall.RUSAGE_SELF, &from)
			for b.Loop() {
				x.Write(buf)
				io.ReadFull(x, buf)
				testwait.Real(time.Millisecond, "between two messages")
			}
			syscall.Getrusage(syscall.RUSAGE_SELF, &to)
			spent := to.Utime.Nano() - from.Utime.Nano() + to.Stime.Nano() - from.Stime.Nano()
			b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
			x.Close()
			<-done
		})
	}
}

func TestUnreadAndWritten(t *testing.T) {
	networks(t, func(t *testing.T, a, b net.Conn) {
		from, to := a.(*Conn), b.(*Conn)
		if to.Unread() || from.Written() != 0 {
			t.Error("something was sent before anything was")
		}
		if _, err := from.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if n := from.Written(); n != 4 {
			t.Errorf("%d bytes written, want 4", n)
		}
		buf := make([]byte, 1)
		for left := 3; left >= 0; left-- {
			if _, err := io.ReadFull(to, buf); err != nil {
				t.Fatal(err)
			}
			if unread := to.Unread(); unread != (left > 0) {
				t.Errorf("unread: %v with %d bytes left", unread, left)
			}
		}
		_ = to.Close()
		if to.Unread() {
			t.Error("a closed connection has something to read")
		}
	})
}
