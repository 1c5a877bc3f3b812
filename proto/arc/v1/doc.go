// Package arcv1 is the public wire of ARC: the generated code of the .proto file
// beside it. Nothing here is written by hand but this comment.
//
// What a new call needs is listed in the doc.go of coordinator/internal/service.
//
// ArcService is what clients, the command line and joiners call.
package arcv1

//go:generate ../../../scripts/proto
