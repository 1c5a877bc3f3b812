// Package ringv1 is generated from ring.proto: the commands and snapshots that a
// ring keeps on disk. Package ring alone reads and writes them.
package ringv1

//go:generate ../../../../scripts/proto
