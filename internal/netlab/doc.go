// Package netlab makes a small laboratory out of Linux namespaces: hosts that run
// real programs, joined by Ethernet. Cables can be pulled, paths can be cut one
// way, delayed and made to lose frames, processes can be stopped, and disks can be
// filled.
//
//	lab := netlab.New(t, netlab.Options{Hosts: 3})
//	a, b := lab.Host(1), lab.Host(2)
//	p := a.Start("/tmp/arc", "coordinator", "--expect", "3")
//	lab.Pull(b)           // its link goes down, as if the cable were out
//	lab.CutOneWay(a, b)   // frames from a to b vanish, the others pass
//	lab.Heal()
//
// A host is a network, process, mount, host name and IPC namespace around a tiny
// first process. The hosts hang at the ports of kernel bridges, one per network,
// in a namespace of their own; nothing of the machine's own network is touched. No
// namespace has a name: they live as long as the process that made them. When that
// dies, by whatever cause, each host's first process sees the end of its input and
// exits. The kernel takes everything else with it: processes, mounts, links.
//
// It is no router: hosts of one network see each other directly, and nothing
// beyond. All hosts share one kernel: clock, page cache and processor. It is no
// jail. The machine's file system is visible on every host; only /run, /proc and,
// if asked for, the host's own directory are private.
//
// All methods fail the test (T.Fatalf) if the lab itself cannot do what it was
// told, so they belong to the test's goroutine. It needs root; New skips the
// test without.
//
// The package has an init function that takes over the process if it was
// started as a host's first process (see asHostInit), so any program that
// links it can make labs.
package netlab
