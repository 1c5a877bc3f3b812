// Package arctest runs the real arc binary on the hosts of package netlab and
// checks that it does what ARC promises: over real addresses and real broadcast,
// with pulled cables, cut paths, stopped and killed processes, full disks. All of
// it is tests; nothing is exported.
//
// Every test records what the nodes say (their watch streams, and their status
// every few milliseconds) and checks it at its end for G1 (one leader per term,
// terms rising), G2 (no claim after a later leader's claim) and G3 (every declared
// leader was the heir). G2 is checked from outside: two claims that overlap
// between two questions go unseen here, but not in the simulator.
//
// The tests need root and are skipped without it; see package netlab.
package arctest
