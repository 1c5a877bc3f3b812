// Package alarms measures false alarms: rings of real processes on this machine's
// loopback take something for a fault although there is none.
//
// Curve measures how many false alarms a shorter detection of a silent leader
// costs. It sets the misses of the leader's link so high that nothing is ever
// suspected. From the watcher's log it takes every run of probes that were missed
// and then answered. A run of k is a false alarm under all settings with up to k
// misses, so one measurement tells about all of them. Profiles lets rings run for
// a while as they are, and counts what happens to them.
//
// Meanwhile a meter watches each processor from above all other threads, and notes
// when even that was stopped, as by the hypervisor below a virtual machine.
// Profiles says of each alarm whether it is beside such a stall, and in which
// share of the time any alarm would be. So a reader can tell the machine's alarms
// from ARC's. Beside is not because. An alarm long after its cause, such as an
// eviction that a slow disk delays, counts as one without. A stall on a processor
// that no node wanted counts nevertheless. The meter itself wakes up 1000 times a
// second on each processor, ahead of the nodes. Without the right to that (root,
// or CAP_SYS_NICE) it is made of ordinary threads, and says so. Its stalls are
// then also moments in which others were preferred.
//
// It decides settings, load and what counts. It does not judge whether the machine
// did anything else meanwhile; results tell the load that was found. A false alarm
// here is a suspicion; the promises decide whether it would cost the leader its
// place. On one machine a delay of the leader's host delays the watcher too. On
// several machines both are seldom late at the same time, and a miss is excused
// less often.
//
// Curve and Profiles may be called by one goroutine at a time.
package alarms
