package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/net/ipv4"

	"github.com/arc-ring/arc/internal/netlab"
)

// vip is the address that keepalived moves.
var vip = netip.MustParseAddr("10.77.0.250")

// keepalivedPids are its processes' files on a host.
var keepalivedPids = [2]string{"/run/keepalived.pid", "/run/keepalived-vrrp.pid"}

// keepalivedSystem is keepalived with an interval between advertisements.
func keepalivedSystem(id string, every time.Duration) System {
	return System{
		ID: "keepalived/" + id, Name: "keepalived", Setting: fmt.Sprintf("advertisements every %v", every),
		Takes: always(3 * every),
		Rest:  300*time.Millisecond + 2*every, Period: every,
		Patience: always(10*every + 5*time.Second),
		provide: func(ctx context.Context, s *installer) (programs, error) {
			p, err := s.debian(ctx, "keepalived", "keepalived")
			if err == nil {
				p.Version = p.version(ctx, "--version")
			}
			return p, err
		},
		begin: func(e *trialEnv, p programs) daemon {
			return &keepalivedDaemon{env: e, programs: p, every: every, procs: map[int]*netlab.Process{}, eyes: map[int]*keepalivedEyes{}}
		},
	}
}

type keepalivedDaemon struct {
	env      *trialEnv
	programs programs
	every    time.Duration
	procs    map[int]*netlab.Process
	eyes     map[int]*keepalivedEyes
}

// keepalivedEyes see the address come and go on one host, and the
// advertisements of others arrive there.
type keepalivedEyes struct {
	done    chan struct{}
	adverts net.PacketConn
	wait    sync.WaitGroup
}

// keepalivedConfig prefers nobody over who leads already, as ARC does. The
// priorities are high, which makes keepalived as quick as it can be, and
// apart, so that two take over at once as seldom as can be.
func keepalivedConfig(number int, every time.Duration) string {
	priority := max(254-3*(number-1), 1)
	return fmt.Sprintf(`global_defs {
  router_id n%d
  vrrp_version 3
}
vrrp_instance bench {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 77
  priority %d
  advert_int %s
  virtual_ipaddress {
    %s/24 dev eth0
  }
}
`, number, priority, strconv.FormatFloat(every.Seconds(), 'f', -1, 64), vip)
}

func (d *keepalivedDaemon) start(h *netlab.Host) error {
	dir, err := d.env.hostDir(h, "keepalived")
	if err != nil {
		return err
	}
	if d.eyes[h.Number()] == nil {
		if err := d.watch(h); err != nil {
			return err
		}
	}
	// What was killed leaves the address behind, and its number in a file, by
	// which the next takes any process for it; an operator would clean up.
	if err := dropAddress(h, vip); err != nil {
		return err
	}
	for _, path := range keepalivedPids {
		if err := os.Remove(h.Outside(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	config := filepath.Join(dir, "keepalived.conf")
	if err := writeFile(h, config, keepalivedConfig(h.Number(), d.every)); err != nil {
		return err
	}
	d.procs[h.Number()] = d.env.run(h, d.programs, []string{
		"--dont-fork", "--log-console", "--vrrp", "--use-file=" + config,
		"--pid=" + keepalivedPids[0], "--vrrp_pid=" + keepalivedPids[1],
	}, nil)
	return nil
}

func (d *keepalivedDaemon) watch(h *netlab.Host) error {
	e := &keepalivedEyes{done: make(chan struct{})}
	var space netns.NsHandle
	err := h.Do(func() (err error) {
		if space, err = netns.GetFromPath("/proc/1/ns/net"); err != nil {
			return err
		}
		if e.adverts, err = net.ListenPacket("ip4:112", "0.0.0.0"); err != nil {
			return err
		}
		eth, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		return ipv4.NewPacketConn(e.adverts).JoinGroup(eth, &net.IPAddr{IP: net.IPv4(224, 0, 0, 18)})
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w", h, err)
	}
	defer space.Close()
	updates := make(chan netlink.AddrUpdate, 64)
	if err := netlink.AddrSubscribeWithOptions(updates, e.done, netlink.AddrSubscribeOptions{Namespace: &space}); err != nil {
		_ = e.adverts.Close()
		return fmt.Errorf("watch the addresses of %s: %w", h, err)
	}
	d.eyes[h.Number()] = e
	timeline := d.env.timeline
	go func() { // ends when the subscription does, which closes the channel
		for u := range updates {
			if ip, ok := netip.AddrFromSlice(u.LinkAddress.IP); !ok || ip.Unmap() != vip {
				continue
			}
			timeline.Act(h.Number(), u.NewAddr)
			if u.NewAddr {
				timeline.See(h.Number(), h.Number())
			}
		}
	}()
	hosts := map[string]int{}
	for _, other := range d.env.hosts {
		hosts[other.Addr(0).String()] = other.Number()
	}
	e.wait.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := e.adverts.ReadFrom(buffer)
			if err != nil {
				return
			}
			leader := hosts[from.String()]
			// Who has the address himself takes himself for the leader.
			if leader != nobody && leader != h.Number() && !resigns(buffer[:n]) && !timeline.Acts(h.Number()) {
				timeline.See(h.Number(), leader)
			}
		}
	})
	return nil
}

// resigns reports whether an advertisement has priority 0, with which a leader
// gives up.
func resigns(advert []byte) bool { return len(advert) < 3 || advert[2] == 0 }

func dropAddress(h *netlab.Host, ip netip.Addr) error {
	return h.Do(func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		addrs, err := netlink.AddrList(eth, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if got, ok := netip.AddrFromSlice(a.IP); ok && got.Unmap() == ip {
				if err := netlink.AddrDel(eth, &a); err != nil {
					return fmt.Errorf("remove %s from %s: %w", ip, h, err)
				}
			}
		}
		return nil
	})
}

func (d *keepalivedDaemon) unready() string { return unreadyProcs(d.env, d.procs) }

// Its two processes make one daemon: the first would restart the second, which
// would give the address up when the first has died.
func (d *keepalivedDaemon) mortal(h *netlab.Host) []netlab.Found {
	return h.Find("keepalived")
}

func (d *keepalivedDaemon) mend(*netlab.Host) error { return nil }

func (d *keepalivedDaemon) close() {
	for _, e := range d.eyes {
		close(e.done)
		_ = e.adverts.Close()
		e.wait.Wait()
	}
}
