// Package realtime makes a process one that the kernel runs as soon as it has
// something to do: every thread under SCHED_RR, all memory locked, one
// processor at a time.
//
// A scheduling policy belongs to a thread, and the Go runtime has started some
// before main begins. So Enter gives it to one thread and executes the program
// again from there: all threads of the new image descend from that one and inherit
// it. So does every process that is started later, such as the monitor. A process
// that starts an ordinary program has to reset it. Nobody inherits locked memory,
// so Keep locks it in each process.
//
// Enter is called first of all, before anything is opened: pid, arguments,
// environment and standard files stay, everything else is as after a start. The
// new image finds a mark of its own pid in the environment. It then checks what it
// has got, and does not execute once more.
//
// The kernel's own work, interrupts and the hypervisor still come first. Of each
// second the realtime threads of a machine get no more than its
// kernel.sched_rt_runtime_us.
//
// Enter and Keep are called once, from main's goroutine.
package realtime
