// Package peerv1 is the wire between machines: the generated code of the .proto
// file beside it. Nothing here is written by hand but this comment.
//
// PeerService is what coordinators and foreign monitors call, and ProbeService
// what monitors call.
package peerv1

//go:generate ../../../../scripts/proto
