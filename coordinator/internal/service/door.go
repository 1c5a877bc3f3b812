package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/sockio"
)

// standing is on whose account a connection is.
type standing int

const (
	// stranger: it came over the network, and has not shown that it is a
	// member's.
	stranger standing = iota
	// known: a member's coordinator or monitor speaks on it.
	known
	// local: it came over the unix socket.
	local
	standings
)

// budgets are how many connections of each standing may be open. They are apart,
// so that none takes the room of another.
type budgets struct {
	max [standings]int
	// perHost bounds the strangers from one address.
	perHost int
	// streams bounds what all strangers together have under way.
	streams int
}

// budgetsFor divides the descriptors that the process may have. What is left
// over is for the connections to other members, about as many as from them.
func budgetsFor(files uint64) budgets {
	n := int(min(files, 1<<20)) - limits.FilesReserved
	var b budgets
	b.max[stranger] = min(max(n/4, 8), limits.Strangers)
	b.max[local] = min(max(n/8, 8), limits.Locals)
	b.max[known] = min(max((n-b.max[stranger]-b.max[local])/2, 16), limits.Members)
	b.perHost = max(b.max[stranger]*3/4, 4)
	b.streams = limits.StrangerStreams
	return b
}

// fileLimit is how many descriptors the process may have. It raises the soft
// limit as far as it may.
func fileLimit() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	if l.Cur < l.Max {
		// The runtime has done so already, unless it was told not to.
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: l.Max, Max: l.Max}); err == nil {
			l.Cur = l.Max
		}
	}
	return l.Cur
}

// door lets connections in, over all listeners of the process. A newcomer that comes
// at a bearable pace is always let in: where there is no room, one goes that has
// shown less of itself. So a client that opens many connections, and says nothing,
// takes room from itself alone.
type door struct {
	log hclog.Logger
	// members are the addresses of members. They make nobody known, since others
	// may have such an address too, but they count when one has to go.
	members func() map[netip.Addr]bool
	// here reports whether an address is this machine's.
	here func(netip.Addr) bool
	// heard reports whether a process with the secret was heard from an address lately.
	// A joiner is one. nil: nobody is.
	heard func(netip.Addr) bool
	// clear: no handshake shows whose a connection is.
	clear bool

	mu      sync.Mutex
	pace    *pace
	b       budgets
	guests  map[*guest]struct{}
	count   [standings]int
	byHost  map[netip.Addr]int // strangers
	streams int                // of strangers
	warned  time.Time
	sweeper *time.Timer
}

// guest is a connection that was let in.
type guest struct {
	*sockio.Conn
	d    *door
	host netip.Addr
	// paced: it has shown that it is a stranger's, or nothing will show whose it is.
	paced atomic.Bool

	// Guarded by the door.
	as      standing
	streams int
	// since is when it came, or when its last call ended.
	since time.Time
	left  bool
}

// guestAddr is a guest's remote address, by which its calls find it.
type guestAddr struct {
	net.Addr
	g *guest
}

func newDoor(log hclog.Logger, b budgets, members func() map[netip.Addr]bool, here func(netip.Addr) bool) *door {
	return &door{log: log, b: b, members: members, here: here, pace: newPace(), guests: map[*guest]struct{}{}, byHost: map[netip.Addr]int{}}
}

// RemoteAddr is net.Conn's.
func (g *guest) RemoteAddr() net.Addr { return guestAddr{g.Conn.RemoteAddr(), g} }

// Close is net.Conn's.
func (g *guest) Close() error {
	g.d.leave(g)
	return g.Conn.Close()
}

// doorListener is a listener behind the door.
type doorListener struct {
	net.Listener
	d  *door
	as standing
}

// Accept is net.Listener's. Without a descriptor for a newcomer, one that is
// open goes.
func (l doorListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil && l.as == stranger && !l.d.admits(remoteHost(conn)):
			refuse(conn)
		case err == nil:
			if c, ok := sockio.New(conn).(*sockio.Conn); ok {
				return l.d.enter(c, l.as), nil
			}
			_ = conn.Close() // it was closed already
		case outOfFiles(err) && l.d.makeRoom(err):
		default:
			return nil, err // gRPC tries again after a while, if that may help
		}
	}
}

// remoteHost is the machine that a connection comes from, the zero value for one over
// a unix socket.
func remoteHost(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return hostOf(a.AddrPort())
	}
	return netip.Addr{}
}

// admits reports whether one more connection may begin now.
func (d *door) admits(host netip.Addr) bool {
	d.mu.Lock()
	now := time.Now()
	if d.pace.connects.allow(now, host, d.originOf(host)) {
		d.mu.Unlock()
		return true
	}
	level := d.loudlyLocked(now)
	d.mu.Unlock() // a log may block
	d.log.Log(level, "connection refused", "from", host, "reason", "too many begin", "most-per-second", limits.HostPerSecond, "most-of-all-strangers", limits.StrangersPerSecond)
	return false
}

func (d *door) originOf(host netip.Addr) origin {
	switch {
	case d.here(host):
		return fromHere
	case d.members()[host], d.heard != nil && d.heard(host):
		return fromMember
	}
	return fromElsewhere
}

// refuse closes a connection by a reset, so that nothing of it stays in the kernel.
func refuse(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is closed all the same
	}
	_ = c.Close()
}

// loudlyLocked is the level of a line about what strangers do, loud once in a while.
func (d *door) loudlyLocked(now time.Time) hclog.Level {
	if now.Sub(d.warned) < durations.Repeats {
		return hclog.Debug
	}
	d.warned = now
	return hclog.Warn
}

func outOfFiles(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }

func (d *door) enter(c *sockio.Conn, as standing) *guest {
	g := &guest{Conn: c, d: d, as: as, since: time.Now(), host: remoteHost(c.Conn)}
	d.mu.Lock()
	var out *guest
	switch {
	case as == stranger && d.byHost[g.host] >= d.b.perHost:
		out = d.leastLocked(func(o *guest) bool { return o.as == stranger && o.host == g.host })
	case d.count[as] >= d.b.max[as]:
		out = d.leastLocked(func(o *guest) bool { return o.as == as })
	}
	g.paced.Store(as == stranger && d.clear)
	d.guests[g] = struct{}{}
	d.addLocked(g, 1)
	if d.sweeper == nil {
		d.sweeper = time.AfterFunc(durations.IdleStranger, d.sweep)
	}
	d.mu.Unlock()
	d.drop(out, "too many are open")
	return g
}

// addLocked counts a guest on its account, or takes it off.
func (d *door) addLocked(g *guest, n int) {
	d.count[g.as] += n
	if g.as != stranger {
		return
	}
	d.streams += n * g.streams
	if d.byHost[g.host] += n; d.byHost[g.host] == 0 {
		delete(d.byHost, g.host)
	}
}

func (d *door) leave(g *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !g.left {
		g.left = true
		delete(d.guests, g)
		d.addLocked(g, -1)
	}
}

// leastLocked returns the guest, of those that fit, whose end costs least: one
// without a call before one with any, one from elsewhere before one from a
// member's address, and of these the one that has been so for longest.
func (d *door) leastLocked(fits func(*guest) bool) *guest {
	var least *guest
	members := d.members()
	rank := func(g *guest) int {
		n := 0
		if g.streams > 0 {
			n = 2
		}
		if members[g.host] {
			n++
		}
		return n
	}
	worth := 0
	for g := range d.guests {
		if !fits(g) {
			continue
		}
		if r := rank(g); least == nil || r < worth || r == worth && g.since.Before(least.since) {
			least, worth = g, r
		}
	}
	return least
}

// makeRoom ends one connection, for the error of another one; false if there is
// none that may go.
func (d *door) makeRoom(err error) bool {
	d.mu.Lock()
	out := d.leastLocked(func(g *guest) bool { return g.as == stranger })
	d.mu.Unlock()
	d.drop(out, "no file descriptor is left: "+limits.Hint(err))
	return out != nil
}

// drop ends a connection, and says so once in a while.
func (d *door) drop(g *guest, why string) {
	if g == nil {
		return
	}
	_ = g.Close()
	d.mu.Lock()
	level := d.loudlyLocked(time.Now())
	strangers, all := d.count[stranger], len(d.guests)
	d.mu.Unlock()
	d.log.Log(level, "connection closed to make room", "from", g.host, "reason", why, "strangers", strangers, "all", all)
}

// sweep ends strangers that keep connections without a call. Members' monitors
// keep one for a certificate, so those addresses are left alone.
func (d *door) sweep() {
	var out []*guest
	d.mu.Lock()
	d.sweeper = nil
	members := d.members()
	for g := range d.guests {
		if g.as != stranger {
			continue
		}
		if g.streams == 0 && time.Since(g.since) >= durations.IdleStranger && !members[g.host] {
			out = append(out, g)
		} else if d.sweeper == nil {
			d.sweeper = time.AfterFunc(durations.IdleStranger, d.sweep)
		}
	}
	d.mu.Unlock()
	for _, g := range out {
		_ = g.Close()
	}
}

// call counts a call from its first frame to its end; gRPC asks before it takes
// anything else of it. One call too many of the strangers ends the connection
// that has the most. A call that comes too soon after many others is refused, and
// ends its connection if many were refused.
func (d *door) call(ctx context.Context, _ *tap.Info) (context.Context, error) {
	g := guestOf(ctx)
	if g == nil {
		return ctx, nil
	}
	d.mu.Lock()
	if g.left {
		d.mu.Unlock()
		return ctx, status.Error(codes.Unavailable, "the connection was closed to make room")
	}
	if g.as == stranger {
		if now, from := time.Now(), d.originOf(g.host); !d.pace.calls.allow(now, g.host, from) {
			answer := d.pace.refusals.allow(now, g.host, from)
			d.mu.Unlock()
			if !answer {
				d.drop(g, "too many calls begin")
			}
			return ctx, status.Errorf(codes.ResourceExhausted, "too many calls begin at once: at most %d per second of one machine, and %d of all together that are no members: try again later", limits.HostPerSecond, limits.StrangersPerSecond)
		}
	}
	var out *guest
	if g.as == stranger && d.streams >= d.b.streams {
		for o := range d.guests {
			if o.as == stranger && (out == nil || o.streams > out.streams || o.streams == out.streams && o.since.Before(out.since)) {
				out = o
			}
		}
	}
	g.streams++
	if g.as == stranger {
		d.streams++
	}
	d.mu.Unlock()
	context.AfterFunc(ctx, func() { d.callEnded(g) })
	d.drop(out, "too many calls are under way")
	return ctx, nil
}

func (d *door) callEnded(g *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g.streams--
	if g.as == stranger && !g.left {
		d.streams--
	}
	g.since = time.Now()
}

// recognise puts a call's connection on the members' account, if there is room.
func (d *door) recognise(ctx context.Context) {
	if g := guestOf(ctx); g != nil {
		d.know(g)
	}
}

// know puts a connection on the members' account, if there is room.
func (d *door) know(g *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.as == known || g.left || d.count[known] >= d.b.max[known] {
		return
	}
	d.addLocked(g, -1)
	g.as = known
	d.addLocked(g, 1)
}

// close ends what the door does by itself.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sweeper != nil {
		d.sweeper.Stop()
	}
}

// guestOf is the connection that a call came on; nil if it did not come through
// the door.
func guestOf(ctx context.Context) *guest {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	a, _ := p.Addr.(guestAddr)
	return a.g
}

// caller is whose a call is, and the address that it came from.
func caller(ctx context.Context) (standing, netip.Addr) {
	g := guestOf(ctx)
	if g == nil {
		return local, netip.Addr{}
	}
	g.d.mu.Lock()
	defer g.d.mu.Unlock()
	return g.as, g.host
}
