// Package discoveryv1 is the wire of discovery: what travels in UDP datagrams
// between coordinators that look for one another. Generated code; nothing here
// is written by hand but this comment.
//
// A datagram is the four bytes "ARC1" and one marshalled Datagram, 1200 bytes
// at most. In a cluster with a secret its last 16 bytes are a tag of all before. Package discovery is its only reader and writer.
package discoveryv1

//go:generate ../../../../scripts/proto
