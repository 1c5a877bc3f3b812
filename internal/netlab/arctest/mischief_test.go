package arctest

import (
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// mischief is what the nemesis may do. Each begins a fault, about v or not.
var mischief = []func(n *nemesis, v *node) *fault{
	(*nemesis).killCoordinator, (*nemesis).killMonitor, (*nemesis).stopCoordinator, (*nemesis).stopMonitor,
	(*nemesis).pauseMachine, (*nemesis).cutPower, (*nemesis).terminate,
	(*nemesis).pullCable, (*nemesis).badCable, (*nemesis).partition, (*nemesis).cutOneWay,
	(*nemesis).star, (*nemesis).chain, (*nemesis).deafOrMute, (*nemesis).someLinks,
	(*nemesis).interfacesDown, (*nemesis).sharedAddress,
	(*nemesis).oneNetwork, (*nemesis).oneNetwork, (*nemesis).breakDisk, (*nemesis).breakDisk, (*nemesis).rotateSecret,
	(*nemesis).handover, (*nemesis).handoverTo, (*nemesis).settings,
}

func about(v *node, undo func(), format string, args ...any) *fault {
	return &fault{fmt.Sprintf(format, args...), v, undo, time.Time{}}
}

func nothing() {}

func (n *nemesis) killCoordinator(v *node) *fault {
	v.kill()
	return about(v, func() { v.start() }, "kill -9 of %s", v.name)
}

func (n *nemesis) killMonitor(v *node) *fault {
	signalMonitor(v, syscall.SIGKILL)
	return about(v, nothing, "kill -9 of the monitor of %s", v.name)
}

func (n *nemesis) stopCoordinator(v *node) *fault {
	v.proc.Stop()
	return about(v, v.proc.Continue, "SIGSTOP of %s", v.name)
}

func (n *nemesis) stopMonitor(v *node) *fault {
	signalMonitor(v, syscall.SIGSTOP)
	return about(v, func() { signalMonitor(v, syscall.SIGCONT) }, "SIGSTOP of the monitor of %s", v.name)
}

func signalMonitor(v *node, s syscall.Signal) {
	for _, m := range v.host.Find("monitor") {
		v.host.SignalPid(m, s)
	}
}

func (n *nemesis) pauseMachine(v *node) *fault {
	v.host.Freeze()
	return about(v, v.host.Thaw, "pause of the machine %s", v.name)
}

func (n *nemesis) cutPower(v *node) *fault {
	v.powerOff()
	return about(v, v.boot, "power cut of %s", v.name)
}

func (n *nemesis) terminate(v *node) *fault {
	v.proc.Signal(syscall.SIGTERM)
	return about(v, func() { v.proc.Wait(patience); v.start() }, "SIGTERM of %s", v.name)
}

func (n *nemesis) pullCable(v *node) *fault {
	n.c.lab.Pull(v.host)
	return about(v, func() { n.c.lab.Plug(v.host) }, "pulled cable of %s", v.name)
}

func (n *nemesis) badCable(v *node) *fault {
	worse := netlab.Impairment{
		Delay:  time.Duration(n.chance.IntN(20)) * time.Millisecond,
		Jitter: time.Duration(n.chance.IntN(30)) * time.Millisecond,
		Loss:   n.chance.Float64() / 5, Duplicate: n.chance.Float64() / 5,
	}
	n.c.lab.Impair(v.host, worse)
	return about(v, func() { n.c.lab.Impair(v.host, netlab.Impairment{}) }, "bad cable of %s: %+v", v.name, worse)
}

// shuffled are all hosts in a random order.
func (n *nemesis) shuffled() []*netlab.Host {
	hosts := n.c.lab.Hosts()
	n.chance.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	return hosts
}

// cutPairs cuts the directed pairs of hosts for which cut says so.
func (n *nemesis) cutPairs(hosts []*netlab.Host, cut func(i, j int) bool) (mend func()) {
	var pairs [][2]*netlab.Host
	for i, a := range hosts {
		for j, b := range hosts {
			if i != j && cut(i, j) {
				pairs = append(pairs, [2]*netlab.Host{a, b})
				n.c.lab.CutOneWay(a, b)
			}
		}
	}
	return func() {
		for _, p := range pairs {
			n.c.lab.Mend(p[0], p[1])
		}
	}
}

func (n *nemesis) partition(*node) *fault {
	hosts := n.shuffled()
	k := 1 + n.chance.IntN(len(hosts)-1)
	mend := n.cutPairs(hosts, func(i, j int) bool { return (i < k) != (j < k) })
	return about(nil, mend, "partition %v | %v", hosts[:k], hosts[k:])
}

func (n *nemesis) cutOneWay(*node) *fault {
	hosts := n.shuffled()
	mend := n.cutPairs(hosts, func(i, j int) bool { return i == 0 && j == 1 })
	return about(nil, mend, "one-way cut from %s to %s", hosts[0], hosts[1])
}

func (n *nemesis) star(*node) *fault {
	hosts := n.shuffled()
	mend := n.cutPairs(hosts, func(i, j int) bool { return i != 0 && j != 0 })
	return about(nil, mend, "star around %s", hosts[0])
}

func (n *nemesis) chain(*node) *fault {
	hosts := n.shuffled()
	mend := n.cutPairs(hosts, func(i, j int) bool { return i-j > 1 || j-i > 1 })
	return about(nil, mend, "chain %v", hosts)
}

func (n *nemesis) deafOrMute(*node) *fault {
	hosts, what := n.shuffled(), "deaf"
	cut := func(_, j int) bool { return j == 0 }
	if n.chance.IntN(2) == 0 {
		what, cut = "mute", func(i, _ int) bool { return i == 0 }
	}
	return about(nil, n.cutPairs(hosts, cut), "%s is %s", hosts[0], what)
}

func (n *nemesis) someLinks(*node) *fault {
	mend := n.cutPairs(n.shuffled(), func(int, int) bool { return n.chance.IntN(4) == 0 })
	return about(nil, mend, "one link in four is cut, each direction for itself")
}

func (n *nemesis) interfacesDown(v *node) *fault {
	v.host.SetInterfaces(false)
	return about(v, func() { v.host.SetInterfaces(true) }, "all interfaces of %s are down", v.name)
}

// sharedAddress gives a host one more address, the same one each time.
func (n *nemesis) sharedAddress(v *node) *fault {
	wandering := netip.AddrFrom4([4]byte{10, 77, 0, 250})
	v.host.AddAddress(0, wandering)
	return about(v, func() { v.host.RemoveAddress(0, wandering) }, "%s gets the address %v", v.name, wandering)
}

// oneNetwork leaves a host the other one of its two networks.
func (n *nemesis) oneNetwork(v *node) *fault {
	f, k := pathFaults[n.chance.IntN(len(pathFaults))], n.chance.IntN(2)
	f.make(n.c.lab, v.host, k)
	return about(v, func() { f.end(n.c.lab, v.host, k) }, "network %d of %s: %s", k, v.name, f.name)
}

func (n *nemesis) breakDisk(v *node) *fault {
	faults := []netlab.DiskFault{
		{Full: true}, {Full: true, Room: int64(n.chance.IntN(4096))},
		{Write: syscall.EROFS}, {Write: syscall.EIO}, {Sync: syscall.EIO},
		{Takes: time.Duration(100+n.chance.IntN(4900)) * time.Millisecond}, {Takes: netlab.Forever},
	}
	f := faults[n.chance.IntN(len(faults))]
	v.host.BreakDisk(f)
	return about(v, func() { v.host.BreakDisk(netlab.DiskFault{}) }, "disk of %s: %+v", v.name, f)
}

// rotateSecret does the next step, once all have read what the last one wrote: they
// do so every 5 s, and a machine may be paused meanwhile.
func (n *nemesis) rotateSecret(v *node) *fault {
	if n.c.clear || time.Since(n.rotated) < 10*time.Second {
		return about(nil, nothing, "no step of a rotation")
	}
	step := []string{"add", "use", "drop"}[n.rotations%3]
	if _, err := v.host.Run(patience, *arcBinary, "secret", "rotate", step, "--secret-file", n.c.secret); err != nil {
		n.c.t.Errorf("step %d of rotations: %v", n.rotations, err)
	}
	n.rotations, n.rotated = n.rotations+1, time.Now()
	return about(nil, nothing, "arc secret rotate %s", step)
}

func (n *nemesis) handover(v *node) *fault {
	return about(nil, nothing, "handover, asked at %s (%v)", v.name, n.ask(v, "handover"))
}

func (n *nemesis) handoverTo(v *node) *fault {
	to := n.c.nodes[n.chance.IntN(len(n.c.nodes))].name
	return about(nil, nothing, "handover to %s, asked at %s (%v)", to, v.name, n.ask(v, "handover", to))
}

// settings changes the profile, and so the length of the lease, under way.
func (n *nemesis) settings(v *node) *fault {
	to := []string{"lan", "fast", "realtime"}[n.chance.IntN(3)]
	return about(nil, nothing, "profile %s, asked at %s (%v)", to, v.name, n.ask(v, "config", "set", "profile="+to))
}

func (n *nemesis) ask(v *node, args ...string) error {
	_, err := v.host.Run(3*time.Second, *arcBinary, append([]string{"--timeout", "2s"}, args...)...)
	return err
}

// calmSettings ends with a profile that a busy machine can keep.
func (n *nemesis) calmSettings() {
	n.c.await(2*patience, "the ring takes the profile lan", func() bool { return n.ask(n.c.nodes[0], "config", "set", "profile=lan") == nil })
}
