// Package devring runs a whole ring on this machine's loopback, out of real
// coordinator and monitor processes, for `arc dev` and for tests. It starts,
// kills, stops and restarts nodes, merges their watch streams, and waits for what
// a test expects. While it listens it checks that tokens rise and that no term has
// two leaders.
//
// It decides addresses, directories, and which node is killed when. It knows
// nothing that a client of a coordinator could not learn. Nothing here stands in
// for a part of ARC.
//
// A Ring's methods may be called by several goroutines, those of one Node by one
// at a time. Every wait is bounded by its context. Close ends all processes,
// monitors included. If this process dies without it, the kernel kills the
// coordinators, and their monitors end by themselves.
//
// It cannot judge whether two claims overlapped in time: it is outside, and events
// arrive late.
package devring
