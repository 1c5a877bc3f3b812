package coordinator

import (
	"net"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/sockio"
)

const (
	// connsPerHost bounds the open connections from one address. On one
	// machine a ring of 100 for development has about 300 to each node.
	connsPerHost = 1024
	// connsMax bounds all of them.
	connsMax = 4096
)

// limitListener is over TCP. It closes connections beyond the limits as soon as they come in,
// so that one client which opens many takes no room from the others.
type limitListener struct {
	net.Listener
	limits *connLimits
}

// connLimits are shared by the listeners of one process.
type connLimits struct {
	log     hclog.Logger
	perHost int
	max     int

	mu     sync.Mutex
	byHost map[string]int
	all    int
	warned bool
}

func newConnLimits(log hclog.Logger) *connLimits {
	return &connLimits{log: log, perHost: connsPerHost, max: connsMax, byHost: map[string]int{}}
}

func (l *connLimits) enter(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.max || l.byHost[host] >= l.perHost {
		level := hclog.Debug
		if !l.warned {
			level, l.warned = hclog.Warn, true
		}
		l.log.Log(level, "connection refused, too many are open", "from", host, "from-host", l.byHost[host], "all", l.all)
		return false
	}
	l.all++
	l.byHost[host]++
	return true
}

func (l *connLimits) leave(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.byHost[host]--; l.byHost[host] == 0 {
		delete(l.byHost, host)
	}
}

func (l limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
		if err != nil {
			host = "local"
		}
		if l.limits.enter(host) {
			return &limitedConn{Conn: sockio.New(conn).(*sockio.Conn), leave: func() { l.limits.leave(host) }}, nil
		}
		_ = conn.Close()
	}
}

type limitedConn struct {
	*sockio.Conn
	once  sync.Once
	leave func()
}

func (c *limitedConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

// socketListener accepts from a unix socket.
type socketListener struct{ net.Listener }

func (l socketListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return sockio.New(conn), nil
}
