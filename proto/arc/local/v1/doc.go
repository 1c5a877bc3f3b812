// Package localv1 is the wire between a coordinator and its own monitor: the
// generated code of the .proto file beside it. Nothing here is written by hand
// but this comment.
//
// A monitor calls LocalService at its own coordinator over the unix socket. Links
// travel in the local queue.
package localv1

//go:generate ../../../../scripts/proto
