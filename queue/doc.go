// Package queue is the local queue from a coordinator to its monitor: a pair
// of SOCK_SEQPACKET sockets made before the monitor starts, and SIGUSR1 as its
// doorbell. One marshalled arc.local.v1 Link is one message.
//
// It decides what becomes of links that the monitor is too slow to take: a
// link supersedes all before it, so Send never waits. If the kernel's buffer
// is full the Sender keeps the newest link alone, drops the one that it kept
// before (its wish for a fresh dial is carried over), and hands the kept one
// in when there is room. So the last link always arrives, and links arrive in
// order; those in between may not.
//
// Either side sees the end of the other: Receive returns io.EOF when the
// coordinator is gone or closed its Sender (after what was queued before), and
// Send returns ErrClosed when the monitor is gone.
//
// What it does not guarantee: that a link was taken. It has arrived when the
// monitor acts on it.
//
// A Sender may be used by any goroutine; a Receiver by one at a time, but for
// Close. The coordinator must close its copy of the monitor's file once the
// monitor has started, or it never sees the monitor's end; and it must not
// send SIGUSR1 before the monitor has registered, since that ends a process that
// is still starting. Without the doorbell the monitor takes links just as well.
package queue
