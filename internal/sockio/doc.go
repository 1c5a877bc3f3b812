// Package sockio reads and writes sockets without waking the Go runtime's
// monitor thread.
//
// The runtime looks at every system call of the standard library as one that
// may block: it wakes a thread which then looks every 20 µs whether the call
// is still under way, until nothing runs any more. For a process that does next
// to nothing but exchange a small message every few milliseconds that is half of
// its work, and on a small machine half of its context switches. A call on a
// socket that is not in blocking mode never blocks, so a Conn makes it in a way
// that the runtime does not look at (as the runtime's own poller does), and
// waits in that poller.
//
// A Conn behaves as the connection that it was made of: deadlines, Close,
// errors (*net.OpError) are the same. It may be used as any net.Conn, from
// several goroutines. It does not make a single call faster, and what takes the
// kernel long (sending megabytes) keeps the processor for as long.
package sockio
