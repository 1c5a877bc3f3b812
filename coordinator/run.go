package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/coordinator/internal/loop"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/service"
	"github.com/arc-ring/arc/coordinator/internal/supervise"
	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/heap"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/wal"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Run is the coordinator process. It returns nil after an orderly end: ctx was
// done (the leadership is then handed over and the ring left, within five
// seconds in all), or `arc leave` was called. It returns an error that wraps
// ErrUsage for options that cannot be, and others as they come. It logs what it
// handles, and leaves the returned error to the caller.
//
// A disk that fails under a running node ends that one, as a crash would, but not
// Run: a new one begins when the disk is written to again.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP) // until the end: it must not end a halted process
	defer signal.Stop(hangups)
	for halted := false; ; halted = true {
		n := newNode(o)
		n.hangups = hangups
		err := n.once(ctx)
		if !passes(err, halted) {
			return err
		}
		if n.listeners != nil { // the others know this one
			o.Port = n.listeners.port
		}
		if ended, err := awaitDisk(ctx, o, n.hub.Load(), err, wal.Room); ended || err != nil {
			return err
		}
	}
}

// once is the life of one node, and returns how it ended.
func (n *node) once(ctx context.Context) error {
	var recovered wal.Recovered
	err := interruptible(ctx, func() (err error) {
		recovered, err = n.open(ctx)
		return err
	})
	switch {
	case errors.Is(err, errStuck): // what is being opened cannot be closed
		return fmt.Errorf("%w while --data-dir %s and --run-dir %s were being opened; do their disks answer?", err, n.o.DataDir, n.o.RunDir)
	case err != nil:
		n.close()
		return err
	}
	n.hello()
	return n.run(ctx, recovered)
}

// errStuck: the process had to stop in the midst of a call that does not return.
var errStuck = errors.New("stopped")

// interruptible calls f and returns what it returns. A disk that hangs holds up
// f for good, but not the end: errStuck comes a moment after ctx has ended, and
// f goes on alone.
func interruptible(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(durations.OpenAfterStop):
		return errStuck
	}
}

// open takes the directories and the addresses. After an error, close gives
// back what was taken.
func (n *node) open(ctx context.Context) (recovered wal.Recovered, err error) {
	o := &n.o
	if !o.NoAutodiscovery { // a wrong --interface is refused before any directory is made
		if err := discovery.CheckInterfaces(o.Interfaces); err != nil {
			return recovered, discoveryError(err)
		}
	}
	if err := checkBroadcast(o.Bind); err != nil {
		return recovered, err
	}
	if err := n.openKeys(); err != nil {
		return recovered, err
	}
	if n.dir, err = lockRunDir(o.RunDir); err != nil {
		return recovered, err
	}
	n.undo = append(n.undo, n.dir.unlock)
	n.disk, recovered, err = wal.Open(o.DataDir, wal.Options{Cluster: o.Cluster, Name: o.Name, Logger: n.log.Named(logging.Storage)})
	if err != nil {
		return recovered, fmt.Errorf("%w: %w", errOpenData, err)
	}
	n.undo = append(n.undo, func() {
		if err := n.disk.Close(); err != nil && !n.diskFailed {
			n.log.Error("log not closed", "error", err)
		}
	})
	if recovered.Fresh {
		if err := n.checkLastRing(); err != nil {
			return recovered, fmt.Errorf("%w: %w", errOpenData, err)
		}
	}
	if err := n.drawIncarnation(); err != nil {
		return recovered, fmt.Errorf("%w: %w", errOpenData, err)
	}
	n.identity.Store(&transport.Identity{Cluster: o.Cluster, Name: o.Name, Incarnation: n.incarnation})
	if n.listeners, err = listen(ctx, o.Bind, o.Port, n.dir.file(socketName)); err != nil {
		return recovered, err
	}
	n.undo = append(n.undo, n.listeners.close)
	if n.place.rules.Told, err = advertised(o.Bind, n.listeners.port); err != nil {
		return recovered, err
	}
	if len(n.reachedAt()) == 0 {
		n.log.Warn("this machine has no address yet; it is waited for, and then told to the others", "bind", joinAddrs(o.Bind))
	}
	if n.words, err = n.readWords(); err != nil {
		return recovered, fmt.Errorf("%w: %w", errOpenData, err)
	}
	if !o.NoAutodiscovery {
		n.discovery, err = discovery.New(discovery.Options{
			Cluster: o.Cluster, Name: o.Name, Incarnation: n.incarnation, Addresses: n.reachedAt(),
			Bind: o.Bind, Interfaces: o.Interfaces, Port: o.DiscoveryPort, Expect: o.expect(), Witness: o.Witness,
			Words: n.words, Keep: n.keepWords, KeptAt: n.wordsPath(),
			Ask: n.askFounder, OnForeignRing: n.heardOtherRing, OnFellow: n.fellowHeard, Logger: n.log.Named(logging.Discovery),
			Seals: n.seals(),
		})
		if err != nil {
			return recovered, discoveryError(err)
		}
		n.undo = append(n.undo, n.discovery.Close)
	}
	n.transport = transport.New(transport.Options{
		Self:      n.self,
		Deliver:   toLoop(n, (*loop.Loop).Deliver),
		PeerDown:  toLoop(n, (*loop.Loop).Unreachable),
		Evicted:   toLoop(n, (*loop.Loop).Evicted),
		Gone:      n.gone,
		SpeaksFor: func(ctx context.Context, id uint64, name string) error { return n.servers.SpeaksFor(ctx, id, name) },
		Sign:      n.signOwn, Passed: n.believePassed,
		Admitted: func(ctx context.Context) { n.servers.Recognise(ctx) },
		Logger:   n.log.Named(logging.Peer),

		Dialer:  n.dialer,
		Local:   n.local.Has,
		Network: n.network,

		PathsChanged: n.pathsChanged,
	})
	n.undo = append(n.undo, n.transport.Close)
	n.monitor = supervise.New(supervise.Options{
		Logger: n.log.Named(logging.Monitor), Command: o.MonitorCommand, Image: o.MonitorImage,
		Socket: n.dir.file(socketName), Incarnation: n.incarnation, PidFile: n.dir.file(monitorPidName),
		Changed: toLoop(n, (*loop.Loop).MonitorChanged),
	})
	n.servers = service.New(service.Options{
		Name: o.Name, Cluster: o.Cluster, Incarnation: n.incarnation, Realtime: o.Realtime, Trust: n.trust, Insecure: o.Insecure, Security: n.security(),
		Log: n.log, Clock: n.clock, Hub: n.hub, Events: n.events, Monitor: n.monitor, LevelChanged: n.levelChanged,
		Loop: func() service.Loop {
			if l := n.loop.Load(); l != nil {
				return l
			}
			return nil
		},
		Dial: n.dialMember, Local: n.local.Has, ServeStream: n.transport.ServeStream,
		Leave:         func(ctx context.Context) (uint64, error) { return n.leave(ctx, false) },
		Left:          func() { n.stopAs(fmt.Errorf("%w, as asked by arc leave", errLeft)) },
		AcceptFounder: n.acceptFounder, Certified: n.believed.add, RealtimeNotes: n.realtimeNotes,
		Standstill: n.standstill,
		Paths:      n.transport.Paths,
		Heard:      n.heardFrom(),
		OtherRings: func(own string) []*arcv1.OtherRing { return n.foreign.list(time.Now(), own) },
	})
	return recovered, nil
}

// close gives back what open took.
func (n *node) close() {
	for _, undo := range slices.Backward(n.undo) {
		undo()
	}
}

// hello is the start-up line.
func (n *node) hello() {
	o := &n.o
	n.log.Info("coordinator starts", "node", o.Name, "cluster", o.Cluster, "addresses", n.reachedAt(), "profile", o.Profile,
		"data-dir", o.DataDir, "run-dir", o.RunDir, "version", o.Version, "incarnation", strconv.FormatUint(n.incarnation, 10))
	if o.Realtime {
		n.log.Info("realtime is on: SCHED_RR, memory locked, one processor at a time")
	}
	n.helloKeys()
}

// run serves until the end, and ends everything.
func (n *node) run(ctx context.Context, recovered wal.Recovered) error {
	// What serves lives longer than ctx: a leaving node still answers.
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	supervising, stopMonitor := context.WithCancel(context.Background())
	defer stopMonitor()
	var wg sync.WaitGroup

	n.servers.Serve(n.listeners.tcp, n.listeners.unix, func(err error) { n.stopAs(err) })
	if n.discovery != nil {
		wg.Go(func() { _ = n.discovery.Run(serving) })
		wg.Go(func() { n.tellDiscoveryWhenDue(serving) })
		wg.Go(func() { n.announceWhileApart(serving) })
	}
	wg.Go(func() { n.followAddresses(serving) })
	wg.Go(func() { n.reloadOnHangup(serving) })
	wg.Go(func() { heap.Collect(serving, limits.Memory, n.hub.Idle) })
	if n.trust != nil {
		wg.Go(func() { n.trust.Watch(serving, n.keysDue, n.trust.LogTo(n.log)) })
	}
	var monitor sync.WaitGroup
	monitor.Go(func() { n.monitor.Run(supervising) })
	monitor.Go(func() { n.keepHouse(supervising) })
	if err := notifySystemd("READY=1"); err != nil {
		n.log.Warn("systemd not told", "error", err)
	}

	err := n.memberships(ctx, recovered)
	n.house.Lock() // for good

	// Half of what is left; calls under way and peers' queues have the rest.
	deadline := time.Now().Add((durations.Stop - durations.Leave) / 2)
	goesOn := passes(err, false)
	if !goesOn {
		_ = notifySystemd("STOPPING=1")
	}
	n.hub.Close()
	if orderly(err) {
		n.monitor.Dismiss(deadline)
	} else {
		// Others wait for this process to end.
		n.monitor.Ending(endingOf(err))
		n.servers.Cut()
	}
	n.transport.Close() // what is queued for others leaves first
	stopMonitor()
	monitor.Wait()
	if goesOn { // nothing of this incarnation leaves any more
		n.monitor.Over(endingOf(err))
	}
	n.servers.Stop()
	stopServing()
	wg.Wait()
	if errors.Is(err, errLeft) {
		v := n.hub.Load()
		if derr := n.dropLog(n.lastRingOf(v.RingID, v.Ring.Members)); derr != nil {
			n.log.Warn("the log of the membership that was left is still there; the next start finds out that it is void", "error", derr)
		}
	}
	n.diskFailed = errors.Is(err, reason.ErrStorage) // and is told by what Run returns
	n.close()
	switch {
	case errors.Is(err, errLeft), errors.Is(err, errStays), errors.Is(err, errNotLeft), errors.Is(err, errNeverJoined):
		n.log.Info("coordinator ends", "reason", err)
		return nil
	}
	return err
}

// orderly reports whether nobody has to be told that this process ended.
func orderly(err error) bool {
	return errors.Is(err, errLeft) || errors.Is(err, errStays) || errors.Is(err, errNeverJoined) || errors.Is(err, reason.ErrUsage) || errors.Is(err, election.ErrSuperseded)
}

// endingOf is what this node's death certificate says when it ends by itself
// and others have to do without it. An end in order is clean: there is no local
// work of a leader that could be left.
func endingOf(err error) (why string, clean bool) {
	switch {
	case errors.Is(err, errNotLeft):
		return "exited in order, but could not leave the ring before", true
	case passes(err, false):
		return "halted: " + err.Error(), false
	}
	return "exited by itself: " + err.Error(), false
}

// errNeverJoined: the node was stopped while it was no member.
var errNeverJoined = errors.New("stopped before it joined a ring")

// memberships enters rings and lives in them until the node has to stop; the
// result says why, and is never nil.
func (n *node) memberships(ctx context.Context, recovered wal.Recovered) error {
	e, err := n.resume(recovered)
	if err != nil {
		return err
	}
	for ; ; e = nil {
		if e == nil {
			seeking, cancel := context.WithCancel(ctx)
			stop := context.AfterFunc(n.stopping, cancel)
			e, err = n.enter(seeking)
			stop()
			cancel()
			switch {
			case err == nil:
			case n.stopping.Err() != nil:
				return context.Cause(n.stopping)
			case ctx.Err() != nil:
				n.toldToEnd(context.Cause(ctx))
				return fmt.Errorf("%w: %w", errNeverJoined, context.Cause(ctx))
			default:
				return err
			}
		}
		err = n.live(ctx, *e)
		if !errors.Is(err, election.ErrRemoved) {
			return err
		}
		sequel := membership.After(errors.Is(err, loop.ErrUnborn), n.leaving.Load())
		if sequel == membership.End {
			return errLeft
		}
		if sequel == membership.SeekAnother {
			n.log.Warn("the founding came to nothing; this node looks for a ring again", "ring", e.ringID, "reason", err,
				"hint", "are all that take part running, and do they reach one another?")
			n.monitor.Idle()
			n.outside(publish.Founding, "")
			if err := n.moveLogAside(); err != nil {
				return err
			}
			continue
		}
		n.log.Warn("this node was taken out of the ring; it joins again under a new id", "ring", e.ringID, "id", e.id, "reason", err)
		n.monitor.Idle()
		was := n.lastRingOf(e.ringID, n.hub.Load().Ring.Members)
		if len(was.others) == 0 { // it never got the ring's state
			was = n.lastRingOf(e.ringID, membersFromWire(e.members))
		}
		n.outside(publish.Joining, e.ringID)
		if err := n.dropLog(was); err != nil {
			return err
		}
	}
}

// toLoop hands on to the event loop, while there is one.
func toLoop[T any](n *node, do func(*loop.Loop, T)) func(T) {
	return func(what T) {
		if l := n.loop.Load(); l != nil {
			do(l, what)
		}
	}
}

// reloadOnHangup reloads the log level and the keys at every SIGHUP. The monitor
// looks at its keys by itself. It is told the level, since it ignores the signal: a
// terminal sends it to everybody.
func (n *node) reloadOnHangup(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.hangups:
		}
		connect.Notify(n.keysDue)
		if n.o.ReloadLogLevel == nil {
			continue
		}
		from := n.log.GetLevel()
		if err := n.o.ReloadLogLevel(); err != nil {
			n.log.Error("log level not reloaded, the old one stays", "level", from, "error", err)
			continue
		}
		n.log.Info("log level reloaded", "from", from, "to", n.log.GetLevel())
		connect.Notify(n.levelChanged)
	}
}

// notifySystemd tells systemd (Type=notify) a state such as READY=1. Without
// NOTIFY_SOCKET it does nothing.
func notifySystemd(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		_, err = conn.Write([]byte(state))
	}
	if err != nil {
		return fmt.Errorf("tell systemd %s: %w", state, err)
	}
	return nil
}
