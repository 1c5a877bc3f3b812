// Package arctest runs the real arc binary on the hosts of package netlab and
// looks whether it does what ARC promises: over real addresses and real
// broadcast, with pulled cables, cut paths, stopped and killed processes, full
// disks. All of it is tests; nothing is exported.
//
// What the nodes said (their watch streams, and their status every few
// milliseconds) is recorded and checked at the end of every test for
// G1 (one leader per term, terms rising), G2 (no claim after a later leader's
// claim) and G3 (every declared leader was the heir). G2 is checked from
// outside and so from below: two claims that overlap between two questions go
// unseen, which the simulator's check does not miss.
//
// The tests need root and are skipped without; see package netlab.
package arctest
