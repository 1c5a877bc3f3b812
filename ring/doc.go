// Package ring decides what the ring is: its members in order, who monitors
// whom, its epochs, the history of its leaders, who must lead next, and the
// cluster-wide settings.
//
// It is a pure state machine. A State changes by Apply alone, one committed
// Command at a time, in log order. The same commands give the same bytes
// (Snapshot) and the same Hash on every member. Nothing here starts a goroutine,
// reads a clock, draws a random number, or touches a socket or a file. Wall-clock
// times arrive inside commands and are never compared.
//
// A State is not safe for concurrent use. The goroutine that applies the log
// owns it; others get a Clone.
//
// It does not decide when a member campaigns or whether a leader may claim:
// package election does.
package ring
