// Package queue is the local queue from a coordinator to its monitor: a pair
// of SOCK_SEQPACKET sockets made before the monitor starts, and SIGUSR1 as its
// doorbell. One marshalled arc.local.v1 Link is one message.
//
// It decides what becomes of links that the monitor is too slow to take. A link
// supersedes all before it, so Send never waits. If the kernel's buffer is full,
// the Sender keeps only the newest link, and hands it in when there is room. It
// drops the one that it kept before, but carries over its wish for a fresh dial.
// So links arrive in order, and the last one always arrives; those in between may
// not.
//
// Either side sees the end of the other: Receive returns io.EOF when the
// coordinator is gone or closed its Sender (after what was queued before), and
// Send returns ErrClosed when the monitor is gone.
//
// It does not guarantee that a link was taken. It has arrived when the monitor
// acts on it.
//
// Any goroutine may use a Sender. A Receiver belongs to one at a time, but for
// Close. The coordinator must close its copy of the monitor's file once the
// monitor has started, or it never sees the monitor's end. It must not send
// SIGUSR1 before the monitor has registered, since that ends a process that is
// still starting. Without the doorbell the monitor takes links just as well.
package queue
