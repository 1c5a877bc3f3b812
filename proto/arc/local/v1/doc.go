// Package localv1 is the wire between a coordinator and its own monitor: the
// generated code of the .proto file beside it. Nothing here is written by hand
// but this comment.
//
// LocalService is what a monitor calls at its own coordinator over the unix
// socket. Link is what travels in the local queue.
package localv1

//go:generate ../../../../scripts/proto
