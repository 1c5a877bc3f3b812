// Package alarms measures false alarms: what rings of real processes on this
// machine's loopback take for a fault although there is none.
//
// Curve measures how the time to detect a silent leader is paid for with false
// alarms. It sets the misses of the leader's link so high that nothing is ever
// suspected, and takes from the watcher's log every run of probes that were
// missed and then answered. A run of k is a false alarm under all settings with
// up to k misses, so one measurement tells about all of them. Profiles lets
// rings run for a while as they are, and counts what happens to them.
//
// It decides settings, load and what counts. It does not judge whether the
// machine did anything else meanwhile; results tell the load that was found. A
// false alarm here is a suspicion: whether it would have cost the leader its
// place, the promises decide. What shares the machine with the leader's host
// delays the watcher too, as on no network of several machines: there both are
// seldom late at the same time, and a miss is excused less often.
//
// Curve and Profiles may be called by one goroutine at a time.
package alarms
