package devring

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/trust"
)

// Options say which ring to make.
type Options struct {
	// Arc is the program's path.
	Arc string
	// Dir is the root of all data and run directories and logs. It must be
	// short: unix sockets lie three levels below it.
	Dir string
	// Nodes is how many there are at first, at least 1.
	Nodes int
	// Profile of the ring; empty means ARC's default.
	Profile string
	// Cluster is the ring's name; empty draws one.
	Cluster string
	// LogLevel of all processes; empty means ARC's default.
	LogLevel string
	// Clear goes without a secret: no connection is encrypted.
	Clear bool
	// Args returns further arguments of node i (from 1) for every start; may
	// be nil. They come last and so win.
	Args func(i int) []string
}

// Ring is a ring of processes. What they say is recorded and judged.
type Ring struct {
	*observe.Recorder

	opts    Options
	subnet  [2]byte // 127.a.b.i is node i
	port    int
	udpPort int

	spawner chan<- func()
	reaping sync.WaitGroup

	mu    sync.Mutex
	nodes []*Node
}

// closeWithin bounds how long processes may take to die of SIGKILL.
const closeWithin = 10 * time.Second

// New prepares a ring without starting anything. The caller must Close it.
func New(o Options) (*Ring, error) {
	if o.Nodes < 1 || o.Nodes > 200 {
		return nil, fmt.Errorf("a ring of %d nodes: want 1 to 200", o.Nodes)
	}
	arc, err := filepath.Abs(o.Arc)
	if err != nil {
		return nil, fmt.Errorf("path of arc: %w", err)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("root directory: %w", err)
	}
	o.Arc, o.Dir = arc, dir
	if n := len(filepath.Join(dir, "n000", "run", client.SocketName)) - limits.SocketPath; n > 0 {
		return nil, fmt.Errorf("root directory %s is too long by %d bytes for unix sockets below it; choose a shorter one", dir, n)
	}
	if o.Cluster == "" {
		o.Cluster = fmt.Sprintf("dev-%06x", rand.Uint32N(1<<24))
	}
	r := &Ring{Recorder: observe.NewRecorder(), opts: o}
	if err := r.pickAddresses(); err != nil {
		return nil, err
	}
	// Monitors outlive their coordinators; as orphans they come to us.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of orphaned monitors: %w", err)
	}
	if !o.Clear {
		if err := os.WriteFile(r.SecretFile(), []byte(trust.FormatSecrets([]trust.Secret{trust.NewSecret()})), 0o600); err != nil {
			return nil, fmt.Errorf("secret of the ring: %w", err)
		}
	}
	for range o.Nodes {
		if _, err := r.Add(); err != nil {
			return nil, err
		}
	}
	r.spawner = spawner()
	return r, nil
}

// SecretFile is the file with the secret of all nodes.
func (r *Ring) SecretFile() string { return filepath.Join(r.opts.Dir, "secret") }

// Start prepares a ring and starts all its nodes at once.
func Start(o Options) (*Ring, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	for _, n := range r.Nodes() {
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// Add makes another node without starting it. It asks to join, not to found.
func (r *Ring) Add() (*Node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.nodes) + 1
	name := "n" + strconv.Itoa(i)
	n := &Node{ring: r, index: i, name: name, dir: filepath.Join(r.opts.Dir, name), arc: r.opts.Arc}
	for _, d := range []string{n.DataDir(), n.RunDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("directories of %s: %w", n.name, err)
		}
	}
	r.nodes = append(r.nodes, n)
	return n, nil
}

// Nodes returns all nodes, running or not, in the order of their making.
func (r *Ring) Nodes() []*Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.nodes)
}

// Node returns node i, from 1.
func (r *Ring) Node(i int) *Node { return r.Nodes()[i-1] }

// Named returns the node with the name, or nil.
func (r *Ring) Named(name string) *Node {
	nodes := r.Nodes()
	if i := slices.IndexFunc(nodes, func(n *Node) bool { return n.name == name }); i >= 0 {
		return nodes[i]
	}
	return nil
}

// Running returns the nodes whose coordinator runs and is not stopped.
func (r *Ring) Running() []*Node {
	return slices.DeleteFunc(r.Nodes(), func(n *Node) bool {
		p, err := n.running()
		return err != nil || p.stopped.Load()
	})
}

// Dir returns the root directory.
func (r *Ring) Dir() string { return r.opts.Dir }

// Cluster returns the ring's name.
func (r *Ring) Cluster() string { return r.opts.Cluster }

// Close kills everything that the ring started and waits until it is gone.
func (r *Ring) Close() error {
	var errs []error
	for _, n := range r.Nodes() {
		if n.Running() {
			errs = append(errs, n.Kill())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	err := r.killAll(ctx)
	if err == nil {
		r.reaping.Wait()
	}
	close(r.spawner)
	return errors.Join(append(errs, err)...)
}

// pickAddresses draws a /24 of 127/8 and ports below the ephemeral range, so
// that rings side by side, and a restarted node, find their ports free.
func (r *Ring) pickAddresses() error {
	var last error
	for range 20 {
		r.subnet = [2]byte{byte(64 + rand.IntN(128)), byte(rand.IntN(256))}
		r.port, r.udpPort = 10000+rand.IntN(10000), 20000+rand.IntN(10000)
		if last = r.tryAddresses(); last == nil {
			return nil
		}
	}
	return fmt.Errorf("find free addresses on the loopback: %w", last)
}

func (r *Ring) tryAddresses() error {
	// A process that this one starts meanwhile has all our sockets, and so the
	// ports, until it has become another program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for i := 1; i <= r.opts.Nodes; i++ {
		lis, err := net.Listen("tcp", net.JoinHostPort(r.ip(i), strconv.Itoa(r.port)))
		if err == nil {
			err = lis.Close()
		}
		if err != nil {
			return err
		}
	}
	conn, err := net.ListenPacket("udp", net.JoinHostPort("", strconv.Itoa(r.udpPort)))
	if err != nil {
		return err
	}
	return conn.Close()
}

func (r *Ring) ip(i int) string {
	return fmt.Sprintf("127.%d.%d.%d", r.subnet[0], r.subnet[1], i)
}
