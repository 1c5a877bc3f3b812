// Package bench measures how long a group of machines is without a leader, with
// ARC and with its alternatives: keepalived, corosync, etcd and Serf. Each runs
// with a stated setting on hosts of internal/netlab, all made alike, on the same
// machine, one after the other. Only systems whose failovers take seconds run in
// several labs side by side (see labs).
//
// It decides what a fault is, when it began, and what counts as an answer:
//
//   - The clock starts right before the signal or the pulled cable.
//   - "First" is when the first survivor knows the leader on which they all
//     agree in the end, "all" is when the last of them does.
//   - Each system is asked for what its own programs see: ARC the declaration on
//     its watch stream; keepalived the address on an interface and the first
//     advertisement that arrives; etcd raft's line about its leader in the log;
//     corosync the membership line. Serf and corosync have no leader: the lowest
//     numbered member counts as one, so "first" is the news that it has failed.
//
// It does not guarantee that the absolute figures hold on another machine, so the
// results are ratios within one run. Experts of another system might set it
// better. Other versions of a program than the named ones may do otherwise.
//
// It touches nothing of the machine's own network and installs nothing: programs
// that are missing are unpacked or built in a cache directory. All processes live
// in the lab's namespaces and end with this one, even if it is killed. Only one
// goroutine may call Run, once per process at a time.
package bench
