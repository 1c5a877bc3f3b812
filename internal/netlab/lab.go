package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	maxHosts    = 200
	maxNetworks = 8
	// Beyond so many hosts the neighbour tables are filled in by hand: the
	// kernel's limit (gc_thresh3) counts the learnt entries of all namespaces
	// together.
	learnNeighboursUpTo = 10
)

// T is what a lab needs of a testing.TB, so that a program that is no test can
// have one too.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Options says what a lab is made of. The zero value of a field means its
// default.
type Options struct {
	// Hosts is how many there are, 1 to 200; they are named n1, n2, and so on.
	Hosts int
	// Networks is how many each host is plugged into, 1 to 8; default 1.
	Networks int
	// DiskBytes, if not 0, gives each host's directory a file system of its
	// own (tmpfs) of that size, which is empty again after a power cut.
	DiskBytes int64
	// FaultyDisks gives each host's directory a file system whose faults the test
	// decides, see BreakDisk. It survives a power cut.
	FaultyDisks bool
	// Seed of the chance in Impair; default 1.
	Seed uint64
}

// Lab is a set of hosts on common networks. Its methods belong to one
// goroutine.
type Lab struct {
	t       T
	options Options
	dir     string
	hosts   []*Host

	// The namespace of the bridges, a thread in it, and a netlink socket.
	space    netns.NsHandle
	thread   *thread
	links    *netlink.Handle
	bridges  []netlink.Link
	cuts     map[cut]bool
	holes    map[hole]Hole
	cutTable *cutTable
}

// New makes a lab and has it removed when the test ends. Without the rights to
// make namespaces it skips the test.
func New(t T, o Options) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("netlab makes network namespaces and needs root: run the tests as root")
	}
	o.Networks = max(o.Networks, 1)
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Hosts < 1 || o.Hosts > maxHosts || o.Networks > maxNetworks {
		t.Fatalf("netlab: %d hosts on %d networks: 1 to %d hosts, 1 to %d networks", o.Hosts, o.Networks, maxHosts, maxNetworks)
	}
	l := &Lab{t: t, options: o, dir: t.TempDir(), cuts: map[cut]bool{}, holes: map[hole]Hole{}}
	t.Cleanup(l.Close)
	if err := l.makeSwitches(); err != nil {
		if isDenied(err) {
			t.Skipf("netlab may not make network namespaces here: %v", err)
		}
		t.Fatalf("netlab: make the switches: %v", err)
	}
	for i := 1; i <= o.Hosts; i++ {
		h := &Host{lab: l, number: i, name: fmt.Sprintf("n%d", i), dir: filepath.Join(l.dir, fmt.Sprintf("n%d", i))}
		l.hosts = append(l.hosts, h)
		if err := h.boot(); err != nil {
			t.Fatalf("netlab: boot %s: %v", h.name, err)
		}
	}
	return l
}

// Hosts returns all hosts in order.
func (l *Lab) Hosts() []*Host { return append([]*Host(nil), l.hosts...) }

// Host returns the host number i, counted from 1.
func (l *Lab) Host(i int) *Host {
	l.t.Helper()
	if i < 1 || i > len(l.hosts) {
		l.t.Fatalf("netlab: there is no host %d among %d", i, len(l.hosts))
	}
	return l.hosts[i-1]
}

// Close ends all processes on all hosts and removes the lab. A second call
// does nothing.
func (l *Lab) Close() {
	for _, h := range l.hosts {
		h.halt()
	}
	if l.cutTable != nil {
		l.cutTable.close()
		l.cutTable = nil
	}
	if l.thread != nil {
		l.thread.end()
		l.thread = nil
	}
	if l.links != nil {
		l.links.Close()
		l.links = nil
		_ = l.space.Close()
	}
}

// makeSwitches makes the namespace of the bridges and the bridges.
func (l *Lab) makeSwitches() error {
	var err error
	l.thread, err = newThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare the network: %w", err)
		}
		// Nobody shall speak IPv6 in the switches' own name.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o644); err != nil && !os.IsNotExist(err) {
			return err
		}
		l.space, err = netns.Get()
		return err
	})
	if err != nil {
		return err
	}
	if l.links, err = netlink.NewHandleAt(l.space, unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	snooping := false
	for k := range l.options.Networks {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("br%d", k)
		// With snooping and no multicast router, groups would be lost at times.
		bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
		if err := l.links.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add %s: %w", attrs.Name, err)
		}
		if err := l.links.LinkSetUp(bridge); err != nil {
			return fmt.Errorf("set %s up: %w", attrs.Name, err)
		}
		l.bridges = append(l.bridges, bridge)
	}
	l.cutTable, err = newCutTable(l.space)
	return err
}

// address is that of host i on network k.
func address(k, i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(k), byte(i)}) }

// hardware is the Ethernet address of host i on network k.
func hardware(k, i int) []byte { return []byte{0x02, 0x77, 0, 0, byte(k), byte(i)} }

func isDenied(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSYS)
}
