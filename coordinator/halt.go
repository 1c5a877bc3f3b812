package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/service"
	"github.com/arc-ring/arc/coordinator/internal/supervise"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/wal"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// errOpenData: the data directory cannot be opened.
var errOpenData = errors.New("open data directory")

// passes reports whether a node ended for a fault of its disk that may pass. A disk
// that cannot be read or written when the process starts is told to the one who
// starts it; one that was used before (halted) is waited for.
func passes(err error, halted bool) bool {
	return wal.MayPass(err) && (errors.Is(err, reason.ErrStorage) || halted && errors.Is(err, errOpenData))
}

// awaitDisk is the coordinator between two nodes. It is no member: nobody but this
// machine reaches it, and it says what it waits for. It returns when the data
// directory has room again, or with ended true when ctx has ended.
func awaitDisk(ctx context.Context, o Options, was *publish.View, cause error, room func(dir string) error) (ended bool, err error) {
	n := newNode(o)
	defer n.close()
	if err := n.openHalted(ctx); err != nil {
		return false, errors.Join(cause, err)
	}
	n.log.Error("the disk takes no writes: this node is no member of the ring until it does, and looks again every second", "data-dir", o.DataDir, "error", cause)
	began := time.Now()
	for {
		n.hub.Publish(&publish.View{Phase: publish.Halted, RingID: was.RingID, Ring: &ring.State{},
			Status: election.Status{Reason: fmt.Sprintf("this node is halted until its disk takes writes: %v", cause)}}, nil)
		if !connect.Wait(ctx, durations.FilesCheck) {
			n.log.Info("coordinator ends", "reason", "it was told to while its disk took no writes")
			return true, nil
		}
		tried := make(chan error, 1)
		go func() { tried <- room(o.DataDir) }() // a disk that hangs must not hold up the end
		var still error
		select {
		case still = <-tried:
		case <-ctx.Done():
			return true, nil
		}
		switch {
		case still == nil:
			n.log.Info("the disk takes writes again, this node goes on", "data-dir", o.DataDir, "elapsed", time.Since(began).Round(time.Millisecond))
			return false, nil
		case !wal.MayPass(still):
			return false, still
		case still.Error() != cause.Error():
			n.log.Warn("the disk still takes no writes", "data-dir", o.DataDir, "error", still)
			cause = still
		}
	}
}

// openHalted takes the run directory and serves its socket.
func (n *node) openHalted(ctx context.Context) (err error) {
	if n.dir, err = lockRunDir(n.o.RunDir); err != nil {
		return err
	}
	n.undo = append(n.undo, n.dir.unlock)
	lis, err := listenUnix(ctx, n.dir.file(socketName))
	if err != nil {
		return err
	}
	n.undo = append(n.undo, func() { _ = lis.Close() })
	n.monitor = supervise.New(supervise.Options{Logger: n.log})
	n.servers = service.New(service.Options{
		Name: n.o.Name, Cluster: n.o.Cluster, Realtime: n.o.Realtime, Security: n.security(),
		Log: n.log, Clock: n.clock, Hub: n.hub, Events: n.events, Monitor: n.monitor, LevelChanged: n.levelChanged,
		Loop: func() service.Loop { return nil }, Dial: n.dialMember, Local: n.local.Has,
		Leave: func(context.Context) (uint64, error) { return 0, reason.ErrNotJoined }, Left: func() {},
		ServeStream: func(peerv1.PeerService_StreamServer) error { return reason.ErrNotJoined },
		AcceptFounder: func(*peerv1.AcceptFounderRequest) (*peerv1.AcceptFounderResponse, error) {
			return nil, reason.ErrNotJoined
		},
		RealtimeNotes: func(context.Context, ring.Settings, *ring.State) []string { return nil },
		Standstill:    func() string { return "" },
		Paths:         func() map[uint64][]*arcv1.Path { return nil },
		OtherRings:    func(string) []*arcv1.OtherRing { return nil },
	})
	n.servers.Serve(nil, lis, func(err error) { n.log.Warn("commands cannot reach this coordinator", "error", err) })
	n.undo = append(n.undo, func() { n.hub.Close(); n.servers.Stop() })
	return nil
}
