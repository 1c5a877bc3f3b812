// Package realtime makes a process one that the kernel runs as soon as it has
// something to do: every thread under SCHED_RR, all memory locked, one
// processor at a time.
//
// A scheduling policy belongs to a thread, and the Go runtime has started some
// before main begins. So Enter gives it to one thread and executes the program
// again from there: all threads of the new image descend from that one and
// inherit it, and so does every process that is started later, the monitor for
// one. A process that starts a program outside of it has to reset it.
// Locked memory is inherited by nobody, which is why Keep locks it in each
// process.
//
// Enter is called first of all, before anything is opened: pid, arguments,
// environment and standard files stay, everything else is as after a start. The
// new image finds a mark of its own pid in the environment and checks what it
// has got instead of executing once more.
//
// What the package cannot promise: the kernel's own work, interrupts and the
// hypervisor still come first, and of each second the realtime threads of a
// machine get no more than the kernel.sched_rt_runtime_us of its settings.
//
// Enter and Keep are called once, from main's goroutine.
package realtime
