// Package peerv1 is the wire between machines: the generated code of the .proto
// file beside it. Nothing here is written by hand but this comment.
//
// Coordinators and foreign monitors call PeerService, and monitors call
// ProbeService.
package peerv1

//go:generate ../../../../scripts/proto
