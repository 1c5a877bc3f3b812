package netlab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// bootWait bounds how long a host's first process may take to get ready.
const bootWait = 20 * time.Second

// Host is one machine of the lab.
type Host struct {
	lab    *Lab
	number int
	name   string
	dir    string

	// Set while the host is on.
	first  *exec.Cmd      // its first process
	power  io.Closer      // whose end is the first process's end
	thread *thread        // a thread of ours on the host
	space  netns.NsHandle // its network namespace
	links  *netlink.Handle
	cables []*cable // by network
	disk   *faultyDisk
}

// Name is the host's name, which is its host name too: n1, n2, and so on.
func (h *Host) Name() string { return h.name }

// Number counts the hosts from 1.
func (h *Host) Number() int { return h.number }

func (h *Host) String() string { return h.name }

// Dir is a directory for the host's own files. It survives a power cut unless
// Options.DiskBytes gave it a file system of its own.
func (h *Host) Dir() string { return h.dir }

// Addr is the host's address on network k, counted from 0.
func (h *Host) Addr(k int) netip.Addr { return address(k, h.number) }

// On reports whether the host has power.
func (h *Host) On() bool { return h.thread != nil }

// Outside returns the path under which the rest of the machine sees the host's
// file, for those that are private to the host, as its sockets in /run.
func (h *Host) Outside(path string) string {
	h.mustBeOn()
	return filepath.Join("/proc", strconv.Itoa(h.first.Process.Pid), "root", path)
}

// Do runs f on a thread of its own on the host, so that a socket that f opens
// (not one that a goroutine of f's opens) belongs to the host.
func (h *Host) Do(f func() error) error {
	h.mustBeOn()
	return h.thread.do(f)
}

// PowerOff ends the host at once, as a power cut does: its cables go dead
// first, so no word of it gets out, and then every process is killed.
func (h *Host) PowerOff() {
	h.lab.t.Helper()
	h.mustBeOn()
	for _, c := range h.cables {
		if err := h.lab.setCable(c, false); err != nil {
			h.lab.t.Fatalf("netlab: power off %s: %v", h.name, err)
		}
	}
	cables := h.cables
	h.halt()
	// The kernel would do this by itself, but in its own time.
	for _, c := range cables {
		if err := h.lab.links.LinkDel(c.link); err != nil && !errors.Is(err, unix.ENODEV) {
			h.lab.t.Fatalf("netlab: power off %s: remove %s: %v", h.name, c.port, err)
		}
	}
}

// Boot switches a host on again, under the same name and addresses. Its cables
// are plugged in; cuts that were made stay, impairments do not.
func (h *Host) Boot() {
	h.lab.t.Helper()
	if h.On() {
		h.lab.t.Fatalf("netlab: %s is on already", h.name)
	}
	if err := h.boot(); err != nil {
		h.lab.t.Fatalf("netlab: boot %s: %v", h.name, err)
	}
	if err := h.lab.applyCuts(); err != nil {
		h.lab.t.Fatalf("netlab: boot %s: %v", h.name, err)
	}
}

func (h *Host) mustBeOn() {
	h.lab.t.Helper()
	if !h.On() {
		h.lab.t.Fatalf("netlab: %s is off", h.name)
	}
}

func (h *Host) boot() (err error) {
	defer func() {
		if err != nil {
			h.halt()
		}
	}()
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return err
	}
	if err := h.startFirst(); err != nil {
		return fmt.Errorf("start the first process: %w", err)
	}
	h.thread, err = newThread(func() error {
		fd, err := unix.PidfdOpen(h.first.Process.Pid, 0)
		if err != nil {
			return fmt.Errorf("pidfd_open: %w", err)
		}
		defer unix.Close(fd)
		// A thread that shares its root with others may not change mounts.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare the root: %w", err)
		}
		spaces := unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNS
		if err := unix.Setns(fd, spaces); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		h.space, err = netns.GetFromPath("/proc/1/ns/net")
		return err
	})
	if err != nil {
		return fmt.Errorf("enter the namespaces: %w", err)
	}
	if h.lab.options.FaultyDisks {
		if err := h.mountDisk(); err != nil {
			return err
		}
	}
	if h.links, err = netlink.NewHandleAt(h.space, unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	lo, err := h.links.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback: %w", err)
	}
	if err := h.links.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set the loopback up: %w", err)
	}
	for k := range h.lab.options.Networks {
		if err := h.plugIn(k); err != nil {
			return fmt.Errorf("network %d: %w", k, err)
		}
	}
	return nil
}

// startFirst starts this very program as the first process of new namespaces.
func (h *Host) startFirst() error {
	input, power, err := os.Pipe()
	if err != nil {
		return err
	}
	defer input.Close()
	h.power = power
	output, said, err := os.Pipe()
	if err != nil {
		return err
	}
	defer output.Close()

	h.first = &exec.Cmd{
		Path:   "/proc/self/exe",
		Args:   []string{hostInit, h.name, h.dir, strconv.FormatInt(h.lab.options.DiskBytes, 10)},
		Stdin:  input,
		Stdout: said,
		Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Setsid:     true,
		},
	}
	err = h.first.Start()
	said.Close()
	if err != nil {
		h.first = nil
		return err
	}
	if err := output.SetReadDeadline(time.Now().Add(bootWait)); err != nil {
		return err
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("wait for it: %w", err)
	}
	if line != ready {
		return fmt.Errorf("it says %q", line)
	}
	return nil
}

// plugIn lays a cable from the host to the switch of network k and gives the
// host its address there.
func (h *Host) plugIn(k int) error {
	c := &cable{host: h, network: k, port: fmt.Sprintf("p%d-%d", h.number, k)}
	h.cables = append(h.cables, c)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = c.port
	veth := netlink.NewVeth(attrs)
	veth.PeerName = fmt.Sprintf("eth%d", k)
	veth.PeerHardwareAddr = hardware(k, h.number)
	veth.PeerNamespace = netlink.NsFd(int(h.space))
	if err := h.lab.links.LinkAdd(veth); err != nil {
		return fmt.Errorf("add the cable: %w", err)
	}
	var err error
	if c.link, err = h.lab.links.LinkByName(c.port); err != nil {
		return fmt.Errorf("find the cable: %w", err)
	}
	c.bridgePort = c.link
	if err := h.lab.links.LinkSetMaster(c.link, h.lab.bridges[k]); err != nil {
		return fmt.Errorf("plug the cable into the switch: %w", err)
	}
	eth, err := h.links.LinkByName(veth.PeerName)
	if err != nil {
		return fmt.Errorf("find the host's end: %w", err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: h.Addr(k).AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := h.links.AddrAdd(eth, addr); err != nil {
		return fmt.Errorf("add the address %s: %w", h.Addr(k), err)
	}
	if err := h.links.LinkSetUp(eth); err != nil {
		return fmt.Errorf("set the host's end up: %w", err)
	}
	c.hostEnd = eth.Attrs().Index
	if err := h.lab.setCable(c, true); err != nil {
		return err
	}
	if h.lab.options.Hosts <= learnNeighboursUpTo {
		return nil
	}
	for i := 1; i <= h.lab.options.Hosts; i++ {
		neighbour := &netlink.Neigh{
			LinkIndex: eth.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: address(k, i).AsSlice(), HardwareAddr: hardware(k, i),
		}
		if i == h.number {
			continue
		}
		if err := h.links.NeighSet(neighbour); err != nil {
			return fmt.Errorf("add the neighbour %s: %w", neighbour.IP, err)
		}
	}
	return nil
}

// halt ends the host's first process, and with it all others, and forgets
// everything that existed only while the host was on.
func (h *Host) halt() {
	for _, c := range h.cables {
		c.endImpairment()
	}
	h.cables = nil
	if h.disk != nil { // what waits for it cannot be killed
		h.disk.set(DiskFault{})
		h.disk = nil
	}
	if h.first != nil {
		_ = h.first.Process.Kill()
		_ = h.first.Wait() // returns when the whole process namespace is dead
		h.first = nil
	}
	if h.power != nil {
		_ = h.power.Close()
		h.power = nil
	}
	if h.thread != nil {
		h.thread.end()
		h.thread = nil
		_ = h.space.Close()
	}
	if h.links != nil {
		h.links.Close()
		h.links = nil
	}
}
