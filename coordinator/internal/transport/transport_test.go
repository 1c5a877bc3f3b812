package transport

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/testwait"
)

func rawConn(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func TestDeliversInOrderBothWays(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	introduce(a, b)
	await(t, "a's stream", a.up)
	await(t, "b's stream", b.up)
	const n = 900 // less than a queue holds
	for i := uint64(1); i <= n; i++ {
		if i%3 == 0 {
			a.tr.Send(bulk(1, 2, i, 100))
		} else {
			a.tr.Send(renew(1, 2, i))
		}
		b.tr.Send(renew(2, 1, i))
	}
	for i := uint64(1); i <= n; i++ {
		m := await(t, "message to b", b.got)
		seq := m.Raft.GetIndex() + 1
		if m.Renew != nil {
			seq = m.Renew.Seq
		}
		if seq != i || m.From != 1 || m.To != 2 {
			t.Fatalf("b got number %d from %d to %d, want number %d from 1 to 2", seq, m.From, m.To, i)
		}
		if m := await(t, "message to a", a.got); m.Renew.Seq != i {
			t.Fatalf("a got number %d, want %d", m.Renew.Seq, i)
		}
	}
	if !a.hasStream(2) || a.hasStream(3) {
		t.Errorf("streams to 2 and 3: %v, %v, want true, false", a.hasStream(2), a.hasStream(3))
	}
}

func TestBlockedPeerHoldsUpNobody(t *testing.T) {
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	got := make(chan election.Message, 1<<14)
	blocked := start(t, 2, "127.0.0.1:0", Options{Deliver: func(m election.Message) { <-gate; got <- m }})
	t.Cleanup(open) // before the transports are closed, which wait for Deliver
	a, c := start(t, 1, "127.0.0.1:0", Options{}), start(t, 3, "127.0.0.1:0", Options{})
	a.tr.SetPeers([]election.Peer{blocked.peer(), c.peer()})
	await(t, "first stream", a.up)
	await(t, "second stream", a.up)

	// Far more than the sockets and windows between them hold.
	const n, size = 3000, 16 << 10
	for i := uint64(1); i <= n; i++ {
		a.tr.Send(bulk(1, 2, i, size))
		if i%10 == 0 {
			a.tr.Send(renew(1, 3, i))
		}
	}
	for i := uint64(10); i <= n; i += 10 {
		// A stream that stood still for a moment is replaced, and says things twice.
		awaitThat(t, "message to the peer that is not blocked", c.got, func(m election.Message) bool { return m.Renew.Seq == i })
	}
	open()
	last, count := uint64(0), 0
	for last != n {
		seq := await(t, "message to the blocked peer", got).Raft.GetIndex() + 1
		if seq <= last {
			t.Fatalf("number %d came after %d", seq, last)
		}
		last, count = seq, count+1
	}
	if count >= n/2 {
		t.Errorf("%d of %d messages were kept for a blocked peer", count, n)
	}
}

func TestOverflowOfAConnectedPeerIsLoud(t *testing.T) {
	for name, quiet := range map[string]bool{"alive": false, "thought dead": true} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			defer close(gate)
			// It does not dial back, which would be a sign of life.
			mute := func(context.Context, string, string) (net.Conn, error) { return nil, context.DeadlineExceeded }
			blocked := start(t, 2, "127.0.0.1:0", Options{Deliver: func(election.Message) { <-gate }, Dialer: &connect.Dialer{Raw: mute}})
			var out lockedBuffer
			a := start(t, 1, "127.0.0.1:0", Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Debug})})
			a.tr.SetPeers([]election.Peer{blocked.peer()})
			for i := range uint64(queueMessagesDown + 10) {
				a.tr.Send(renew(1, 2, i+1)) // most likely before the stream: of no matter
			}
			await(t, "stream", a.up)
			if quiet {
				a.tr.Quiet(2)
			}
			for i := range uint64(3000) {
				a.tr.Send(bulk(1, 2, i+1, 16<<10))
			}
			// Whatever is asked of the peer's goroutine is done when it has ended.
			a.tr.Close()
			loud := 0
			for _, l := range strings.Split(out.String(), "\n") {
				if strings.Contains(l, overflowSays) && strings.Contains(l, "[WARN]") {
					loud++
				}
			}
			if want := map[bool]int{false: 1, true: 0}[quiet]; loud != want {
				t.Errorf("loud %d times, want %d:\n%s", loud, want, out.String())
			}
		})
	}
}

func TestReconnectsToRestartedPeer(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	introduce(a, b)
	await(t, "a's stream", a.up)
	b.kill()
	// The end of b's stream to a is news too: wait for that of a's own.
	for a.hasStream(2) {
		awaitThat(t, "news of the break", a.down, func(id uint64) bool { return id == 2 })
	}
	// What is queued meanwhile: only the newest are of use.
	for i := uint64(1); i <= 10*queueMessagesDown; i++ {
		a.tr.Send(renew(1, 2, i))
	}
	b2 := start(t, 2, b.addr, Options{})
	await(t, "a's next stream", a.up)
	m := await(t, "message", b2.got)
	if oldest := uint64(10*queueMessagesDown - queueMessagesDown); m.Renew.Seq <= oldest {
		t.Errorf("number %d was kept, want only the newest %d of %d", m.Renew.Seq, queueMessagesDown, 10*queueMessagesDown)
	}
	awaitThat(t, "newest message", b2.got, func(m election.Message) bool { return m.Renew.Seq == 10*queueMessagesDown })
}

func TestFlushesAtCloseAndRemoval(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(a *node)
	}{
		{"close", func(a *node) { a.tr.Close() }},
		{"removal", func(a *node) { a.tr.SetPeers(nil) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// b is gone for a, so that the removal is one.
			a, b := start(t, 1, "127.0.0.1:0", Options{Gone: func(uint64) bool { return true }, flushWait: time.Minute}), start(t, 2, "127.0.0.1:0", Options{})
			introduce(a, b)
			await(t, "a's stream", a.up)
			for i := uint64(1); i <= 500; i++ {
				a.tr.Send(renew(1, 2, i))
			}
			tc.end(a)
			for i := uint64(1); i <= 500; i++ {
				if m := await(t, "message", b.got); m.Renew.Seq != i {
					t.Fatalf("got number %d, want %d", m.Renew.Seq, i)
				}
			}
			a.tr.Send(renew(1, 2, 501)) // to nobody: no more than no panic
		})
	}
}

func TestFindsTheRightAddress(t *testing.T) {
	// Silent accepts by the kernel alone; closed refuses; the third is a's
	// own, as when all machines have the same bridge.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	p := b.peer()
	p.Addresses = []string{silent.Addr().String(), closed.Addr().String(), a.addr, b.addr}
	a.tr.SetPeers([]election.Peer{p})
	await(t, "stream", a.up)
	a.tr.Send(renew(1, 2, 7))
	if m := await(t, "message", b.got); m.Renew.Seq != 7 {
		t.Errorf("got number %d, want 7", m.Renew.Seq)
	}
	if err := await(t, "refusal by ourselves", a.refused); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("own address answered %v, want FailedPrecondition", err)
	}
}

func TestQuietPeerIsLeftAloneUntilItLives(t *testing.T) {
	var dials atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	var a *node
	opts := Options{Dialer: &connect.Dialer{Raw: dial}}
	opts.PeerDown = func(id uint64) { a.tr.Quiet(id); offer(a.down, id) }
	a = start(t, 1, "127.0.0.1:0", opts)
	b := start(t, 2, "127.0.0.1:0", Options{})
	introduce(a, b)
	await(t, "a's stream", a.up)
	await(t, "b's stream", b.up)
	a.looks(2)
	b.kill()
	await(t, "news of the break", a.down)
	before, since := dials.Load(), time.Now()
	// Alive again: its own stream to us ends the quiet.
	b2 := start(t, 2, b.addr, Options{})
	if n := dials.Load() - before; time.Since(since) < dialRules.Slow/2 && n > 0 {
		t.Errorf("%d dials to a quiet peer within %s, want none", n, time.Since(since))
	}
	b2.tr.SetPeers([]election.Peer{a.peer()})
	await(t, "b's stream", b2.up)
	await(t, "a's stream to the returned", a.up)
}

func TestWakeDialsAtOnce(t *testing.T) {
	dials := make(chan string, 1024)
	fail := func(_ context.Context, _, addr string) (net.Conn, error) {
		offer(dials, addr)
		return nil, context.DeadlineExceeded
	}
	a := start(t, 1, "127.0.0.1:0", Options{Dialer: &connect.Dialer{Raw: fail}})
	a.tr.SetPeers([]election.Peer{listed(2, 0, "192.0.2.1:7400")})
	await(t, "first dial", dials)
	a.tr.Quiet(2)
	a.tr.Wake(2)
	a.tr.Wake(3) // nobody
	await(t, "dial after Wake", dials)
	a.tr.SetPeers([]election.Peer{listed(2, 1, "192.0.2.2:7400")})
	awaitThat(t, "dial of the new address", dials, func(s string) bool { return strings.HasPrefix(s, "192.0.2.2") })
}

func TestSnapshotGivesWay(t *testing.T) {
	snap := func(index uint64) election.Message {
		m := bulk(1, 2, 1, 0)
		m.Raft.Type, m.Raft.Entries = raftpb.MsgSnap.Enum(), nil
		m.Raft.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(index), Term: new(uint64(5)), ConfState: &raftpb.ConfState{}}}
		return m
	}
	a := start(t, 1, "127.0.0.1:0", Options{})
	b := start(t, 0, "127.0.0.1:0", Options{}) // holds the hello
	p := b.peer()
	p.ID = 2
	a.tr.SetPeers([]election.Peer{p})
	for i, m := range []election.Message{snap(7), renew(1, 2, 1), snap(8), renew(1, 2, 2)} {
		a.tr.Send(m)
		_ = i
	}
	b.become(Identity{Cluster: "c", RingID: "r", ID: 2, Incarnation: 102, Name: "n2"})
	for i := uint64(1); i <= 2; i++ {
		if m := await(t, "renewal", b.got); m.Renew == nil || m.Renew.Seq != i {
			t.Fatalf("got %+v, want renewal %d", m, i)
		}
	}
	if m := await(t, "snapshot", b.got); m.Raft.GetSnapshot().GetMetadata().GetIndex() != 8 {
		t.Errorf("got %v, want the newest snapshot", m.Raft)
	}
}

func TestCloseTwiceAndCallsAfterwards(t *testing.T) {
	a := start(t, 1, "127.0.0.1:0", Options{})
	a.tr.Close()
	a.tr.Close()
	a.tr.SetPeers([]election.Peer{listed(2, 0, "127.0.0.1:1")})
	a.tr.Send(renew(1, 2, 1))
	a.tr.Send(election.Message{From: 1, To: 2, Evicted: &election.EvictedNotice{}})
	a.tr.Quiet(2)
	a.tr.SelfChanged()
}

// BenchmarkSendToDeliver: one message at a time, there and back again.
func BenchmarkSendToDeliver(b *testing.B) {
	x, y := start(b, 1, "127.0.0.1:0", Options{}), start(b, 2, "127.0.0.1:0", Options{})
	introduce(x, y)
	await(b, "x's stream", x.up)
	await(b, "y's stream", y.up)
	m := renew(1, 2, 1)
	b.ReportAllocs()
	for b.Loop() {
		x.tr.Send(m)
		<-y.got
	}
}

// BenchmarkStream: as many as the queue takes.
func BenchmarkStream(b *testing.B) {
	x, y := start(b, 1, "127.0.0.1:0", Options{}), start(b, 2, "127.0.0.1:0", Options{})
	introduce(x, y)
	await(b, "x's stream", x.up)
	m := renew(1, 2, 1)
	b.ReportAllocs()
	flight := 0
	for b.Loop() {
		x.tr.Send(m)
		if flight++; flight > 500 {
			<-y.got
			flight--
		}
	}
}

func TestADistantPeerIsDialledWhenThereIsSomethingToSay(t *testing.T) {
	a, b, c := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{}), start(t, 3, "127.0.0.1:0", Options{})
	distant := b.peer()
	distant.Distant = true
	a.tr.SetPeers([]election.Peer{distant, c.peer()})
	// A near peer is dialled at once, and the distant one not before it is
	// written to.
	if id := await(t, "stream", a.up); id != 3 {
		t.Fatalf("the first stream is to %d, want 3", id)
	}
	if a.hasStream(2) {
		t.Error("a distant peer was dialled though there was nothing to send")
	}
	a.tr.Send(renew(1, 2, 7))
	if m := await(t, "message to the distant peer", b.got); m.Renew.Seq != 7 {
		t.Errorf("it got %+v", m)
	}
	if id := await(t, "stream", a.up); id != 2 {
		t.Fatalf("the next stream is to %d, want 2", id)
	}

	// When it comes near it is dialled again after a break, with nothing to send.
	a.tr.SetPeers([]election.Peer{b.peer(), c.peer()})
	a.tr.SelfChanged()
	self := *a.self.Load()
	self.Incarnation++
	a.become(self)
	for seen := map[uint64]bool{}; !seen[2] || !seen[3]; {
		seen[await(t, "stream", a.up)] = true
	}
}

// A process that ends has not read what was sent to it in its last moment. If
// another takes its place, that one gets it.
func TestWhatWasSentIntoABreakIsSentAgain(t *testing.T) {
	for round := range 10 {
		a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
		a.tr.SetPeers([]election.Peer{a.peer(), b.peer()})
		await(t, "a's stream", a.up)
		// The end comes at any point of a row of messages.
		ended := make(chan struct{})
		time.AfterFunc(time.Duration(round)*200*time.Microsecond, func() {
			b.host.Stop()
			close(ended)
		})
		sent := uint64(0)
		for {
			sent++
			a.tr.Send(renew(1, 2, sent))
			if len(a.down) > 0 {
				break
			}
			testwait.Real(100*time.Microsecond, "which is the pace of the load")
		}
		<-ended
		b.kill()
		got := map[uint64]bool{}
		for len(b.got) > 0 {
			got[(<-b.got).Renew.Seq] = true
		}
		again := start(t, 2, b.addr, Options{})
		for uint64(len(got)) < sent {
			select {
			case m := <-again.got:
				got[m.Renew.Seq] = true
			case <-time.After(patience):
				var missing []uint64
				for seq := range sent {
					if !got[seq+1] {
						missing = append(missing, seq+1)
					}
				}
				t.Fatalf("of %d messages these were lost: %v", sent, missing)
			}
		}
		again.stop()
		a.stop()
	}
}
