// Package sockio reads and writes sockets without waking the Go runtime's
// monitor thread.
//
// The runtime takes every system call of the standard library for one that may
// block. It wakes a thread, which then checks every 20 µs whether the call is
// still under way, until nothing runs any more. A process may do little but
// exchange a small message every few milliseconds. For it that is half of its
// work, and on a small machine half of its context switches. A call on a socket in
// non-blocking mode never blocks. So a Conn makes it in a way that the runtime
// does not watch (as the runtime's own poller does), and waits in that poller.
//
// A Conn behaves as the connection that it was made of: deadlines, Close and
// errors (*net.OpError) are the same. Several goroutines may use it, as any
// net.Conn. It makes no single call faster. A call that takes the kernel long
// (sending megabytes) keeps the processor for as long.
package sockio
