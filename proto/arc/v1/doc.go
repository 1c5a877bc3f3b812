// Package arcv1 is the public wire of ARC: the generated code of the .proto file
// beside it. Nothing here is written by hand but this comment.
//
// The doc.go of coordinator/internal/service lists what a new call needs.
//
// Clients, the command line and joiners call ArcService.
//
// Words that people read (phase, how, evidence) are strings here: the JSON contract
// prints them as they are, and an older client shows the word of a newer coordinator
// where a number would mean nothing to it. ARC itself decides by the enums of
// arc.ring.v1 and arc.peer.v1.
package arcv1

//go:generate ../../../scripts/proto
