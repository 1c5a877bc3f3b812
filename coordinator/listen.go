package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/hostaddr"
)

// checkBind returns what is wrong with the addresses of --bind, whatever the
// machine is.
func checkBind(bind []netip.Addr) (errs []error) {
	var good []netip.Addr
	for _, a := range bind {
		switch {
		case !a.IsValid():
			errs = append(errs, errors.New("--bind holds something that is not an address"))
		case a.IsMulticast():
			errs = append(errs, fmt.Errorf("--bind %s is a multicast address, to which nobody can connect", a))
		case a == hostaddr.LimitedBroadcast:
			errs = append(errs, broadcastError(a))
		default:
			for _, b := range good {
				errs = append(errs, collision(a, b))
			}
			good = append(good, a)
		}
	}
	return errs
}

func broadcastError(a netip.Addr) error {
	return fmt.Errorf("--bind %s is a broadcast address, to which nobody can connect", a)
}

// collision says why one cannot listen at both addresses, nil if one can.
func collision(a, b netip.Addr) error {
	switch {
	case a == b:
		return fmt.Errorf("--bind has %s twice", a)
	case covers(b, a):
		a, b = b, a
	case !covers(a, b):
		return nil
	}
	return fmt.Errorf("--bind has %s, which stands for %s too: give one of them", a, b)
}

// covers reports whether one who listens at wide listens at the other address as
// well. At :: Linux listens for IPv4, too.
func covers(wide, narrow netip.Addr) bool {
	return wide.IsUnspecified() && (wide.Is6() || narrow.Is4())
}

// checkBroadcast refuses the broadcast addresses of this machine's networks, at
// which the kernel lets a socket listen.
func checkBroadcast(bind []netip.Addr) error {
	broadcast, err := hostaddr.Broadcast()
	if err != nil {
		return err
	}
	for _, a := range bind {
		if broadcast[a] {
			return reason.Usagef("%w", broadcastError(a))
		}
	}
	return nil
}

// listeners are what the coordinator is reached at.
type listeners struct {
	tcp  []net.Listener
	unix *socketFile
	// port is that of all TCP listeners.
	port int
}

// listen opens every address, all at the same port, and the unix socket. Port
// 0 lets the kernel choose for the first.
func listen(ctx context.Context, bind []netip.Addr, port int, socket string) (_ *listeners, err error) {
	l := &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	var cfg net.ListenConfig
	for _, a := range bind {
		address := net.JoinHostPort(a.String(), strconv.Itoa(port))
		if a.IsUnspecified() && a.Is6() {
			address = net.JoinHostPort("", strconv.Itoa(port)) // both families
		}
		lis, err := cfg.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, listenError(address, err)
		}
		l.tcp = append(l.tcp, lis)
		port = lis.Addr().(*net.TCPAddr).Port
	}
	l.port = port
	if l.unix, err = listenUnix(ctx, socket); err != nil {
		return nil, err
	}
	return l, nil
}

// socketFile is a listening unix socket, and the file that leads to it.
type socketFile struct {
	net.Listener
	path string
	info os.FileInfo
}

// socketMode: write access to the socket is power over the ring, for owner and group.
const socketMode = 0o660

// bindUnix listens at a unix socket that never has more than socketMode, whatever the
// umask is: who connected before a change of the mode would be let in after it.
func bindUnix(ctx context.Context, path string) (net.Listener, error) {
	cfg := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		// The file gets the mode of the descriptor, less the umask (unix(7)).
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, failed)
	}}
	return cfg.Listen(ctx, "unix", path)
}

// listenUnix makes the socket. The run directory is locked, so one that is
// there is a dead coordinator's.
func listenUnix(ctx context.Context, path string) (*socketFile, error) {
	info, err := os.Lstat(path)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("listen at %s: a directory is there; move it away, or choose another --run-dir", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	lis, err := bindUnix(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err = os.Chmod(path, socketMode); err == nil { // whatever the umask has taken off
		info, err = os.Lstat(path)
	}
	if err != nil {
		_ = lis.Close()
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	return &socketFile{Listener: lis, path: path, info: info}, nil
}

// reachable reports whether the path still leads to the socket.
func (s *socketFile) reachable() bool {
	there, err := os.Lstat(s.path)
	return err == nil && os.SameFile(there, s.info)
}

// abandon closes a socket whose file is gone, and leaves alone what is at the
// path now.
func (s *socketFile) abandon() {
	if u, ok := s.Listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	_ = s.Close()
}

func listenError(address string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("listen at %s: %w; is another coordinator running (arc status), or does another program have the port? choose another --port", address, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("listen at %s: %w; no interface of this machine has the address: check --bind and `ip address`", address, err)
	}
	return fmt.Errorf("listen at %s: %w", address, err)
}

// close closes what net/http or gRPC did not close already.
func (l *listeners) close() {
	for _, lis := range l.tcp {
		_ = lis.Close()
	}
	if l.unix != nil {
		_ = l.unix.Close()
	}
}
