// Package arcv1 is the public wire of ARC: the generated code of the .proto file
// beside it. Nothing here is written by hand but this comment.
//
// The doc.go of coordinator/internal/service lists what a new call needs.
//
// Clients, the command line and joiners call ArcService.
package arcv1

//go:generate ../../../scripts/proto
