package monitor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/testserver"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/queue"
	"github.com/arc-ring/arc/ring"
)

// patience is how long a test waits for what must happen. Nothing asserts
// that something takes less.
const patience = 20 * time.Second

// node is another member's coordinator, as far as a monitor sees it.
type node struct {
	peerv1.UnimplementedProbeServiceServer
	peerv1.UnimplementedPeerServiceServer

	t           testing.TB
	id          uint64
	name        string
	ringID      string
	addr        string
	incarnation atomic.Uint64
	term        atomic.Uint64
	mute        atomic.Bool // it takes pings and does not answer
	streams     atomic.Int64
	pings       atomic.Int64
	certs       chan *peerv1.CertifyRequest
	host        *testserver.Host
}

func newNode(t testing.TB, id uint64, name string) *node {
	n := &node{t: t, id: id, name: name, certs: make(chan *peerv1.CertifyRequest, 64)}
	n.incarnation.Store(id * 11)
	n.listen("127.0.0.1:0")
	return n
}

func (n *node) listen(addr string) {
	n.t.Helper()
	host, err := testserver.Listen("tcp", addr, func(s grpc.ServiceRegistrar) {
		peerv1.RegisterProbeServiceServer(s, n)
		peerv1.RegisterPeerServiceServer(s, n)
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.host, n.addr = host, host.Addr
	n.t.Cleanup(host.Stop)
}

func (n *node) Probe(s grpc.BidiStreamingServer[peerv1.ProbeRequest, peerv1.ProbeResponse]) error {
	n.streams.Add(1)
	for {
		p, err := s.Recv()
		if err != nil {
			return nil
		}
		n.pings.Add(1)
		if n.mute.Load() {
			continue
		}
		if err := s.Send(&peerv1.ProbeResponse{Seq: p.Seq, Name: n.name, Id: n.id, Incarnation: n.incarnation.Load(), Term: n.term.Load(), RingId: n.ringID}); err != nil {
			return nil
		}
	}
}

func (n *node) Certify(_ context.Context, r *peerv1.CertifyRequest) (*peerv1.CertifyResponse, error) {
	n.certs <- r
	return &peerv1.CertifyResponse{}, nil
}

func (n *node) target() *localv1.Target {
	return &localv1.Target{Id: n.id, Name: n.name, Incarnation: n.id * 11, Addresses: []string{n.addr}}
}

// home is the own coordinator: a real process, and in this one its queue and
// its Local service.
type home struct {
	localv1.UnimplementedLocalServiceServer

	t        testing.TB
	process  *exec.Cmd
	sender   *queue.Sender
	doorbell chan os.Signal
	reports  chan *localv1.MonitorRequest
	deaf     atomic.Bool // its event loop hangs
	streams  atomic.Int64
	epoch    uint64
	options  Options
	socket   string
	// levels are the log levels that a monitor is told at once.
	levels []string
	local  *testserver.Host // the service on the unix socket

	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of Run, once ended is closed
}

// newHome starts a coordinator's process; start starts the monitor.
func newHome(t testing.TB) *home {
	h := &home{t: t, doorbell: make(chan os.Signal, 1), reports: make(chan *localv1.MonitorRequest, 4096), ended: make(chan struct{})}
	h.process = exec.Command("sleep", "1000")
	if err := h.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.killCoordinator() })
	h.socket = filepath.Join(t.TempDir(), "arc.sock")
	h.serveLocal()

	sender, file, err := queue.New()
	if err != nil {
		t.Fatal(err)
	}
	h.sender = sender
	t.Cleanup(func() { sender.Close() })
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	receiver, err := queue.Inherited(uintptr(fd))
	if err != nil {
		t.Fatal(err)
	}
	h.options = Options{
		Queue: receiver, LocalSocket: h.socket, CoordinatorPID: h.process.Process.Pid, Incarnation: 99, Doorbell: h.doorbell,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: t.Output(), DisableTime: true}),
	}
	return h
}

func (h *home) serveLocal() {
	h.t.Helper()
	host, err := testserver.Listen("unix", h.socket, func(s grpc.ServiceRegistrar) { localv1.RegisterLocalServiceServer(s, h) })
	if err != nil {
		h.t.Fatal(err)
	}
	h.local = host
	h.t.Cleanup(host.Stop)
}

func (h *home) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() {
		defer close(h.ended)
		h.err = Run(ctx, h.options)
	}()
	h.t.Cleanup(func() {
		cancel()
		<-h.ended
	})
}

func (h *home) killCoordinator() {
	if h.process.ProcessState == nil {
		h.process.Process.Kill()
		h.process.Wait()
	}
}

func (h *home) Monitor(s grpc.BidiStreamingServer[localv1.MonitorRequest, localv1.MonitorResponse]) error {
	h.streams.Add(1)
	for _, level := range h.levels {
		if err := s.Send(&localv1.MonitorResponse{LogLevel: level}); err != nil {
			return nil
		}
	}
	for {
		r, err := s.Recv()
		if err != nil {
			return nil
		}
		if b, ok := r.Body.(*localv1.MonitorRequest_Beat); ok {
			if !h.deaf.Load() {
				if err := s.Send(&localv1.MonitorResponse{Seq: b.Beat}); err != nil {
					return nil
				}
			}
			continue
		}
		h.reports <- r
	}
}

// link sends one with the successors, told to all of them.
func (h *home) link(change func(*localv1.Link), successors ...*node) {
	h.t.Helper()
	h.epoch++
	l := &localv1.Link{
		Epoch: h.epoch, Term: 5, RingId: "ring", Cluster: "c",
		Self:             &localv1.Target{Id: 1, Name: "n1", Incarnation: 99, Addresses: []string{"127.0.0.1:1"}},
		LeaderIntervalMs: 20, LeaderMisses: 3, IntervalMs: 20, Misses: 3,
	}
	for _, n := range successors {
		l.Successors = append(l.Successors, n.target())
		l.Tell = append(l.Tell, n.target())
	}
	if change != nil {
		change(l)
	}
	if err := h.sender.Send(l); err != nil {
		h.t.Fatal(err)
	}
}

// slow makes probes so rare that nothing is noticed by their absence.
func slow(l *localv1.Link) {
	l.IntervalMs, l.LeaderIntervalMs, l.Misses, l.LeaderMisses = 20_000, 20_000, 5, 5
}

// await returns the first report that fits.
func (h *home) await(what string, fits func(*localv1.MonitorRequest) bool) *localv1.MonitorRequest {
	h.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case r := <-h.reports:
			if fits(r) {
				return r
			}
		case <-timeout:
			h.t.Fatalf("no report: %s", what)
		}
	}
}

// evidenceOf is the evidence of a suspicion; "" for another opinion.
func evidenceOf(o *peerv1.Opinion) string {
	e, _ := ring.EvidenceOf(max(o.GetSuspect().GetEvidence(), o.GetGrantExpired().GetEvidence()))
	return string(e)
}

func (h *home) awaitSuspicion(of *node, evidence string) *peerv1.Opinion {
	h.t.Helper()
	return h.await(evidence+" of "+of.name, func(r *localv1.MonitorRequest) bool {
		return r.GetOpinion().GetId() == of.id && evidenceOf(r.GetOpinion()) == evidence
	}).GetOpinion()
}

func (h *home) awaitLink(of *node, state string) {
	h.t.Helper()
	h.await(state+" "+of.name, func(r *localv1.MonitorRequest) bool {
		return r.GetLink().GetTarget() == of.id && r.GetLink().GetState().String() == "STATE_"+strings.ToUpper(state)
	})
}

func (h *home) awaitEnd() error {
	h.t.Helper()
	select {
	case <-h.ended:
		return h.err
	case <-time.After(patience):
		h.t.Fatal("the monitor does not end")
		return nil
	}
}
