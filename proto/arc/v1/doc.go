// Package arcv1 is the wire of ARC: the generated code of the .proto files
// beside it. Nothing here is written by hand but this comment.
//
// Arc is what clients call, Peer what coordinators and foreign monitors call,
// Probe what monitors call, Local what a monitor calls at its own coordinator
// over the unix socket. Link is what travels in the local queue.
package arcv1

//go:generate ../../../scripts/proto
