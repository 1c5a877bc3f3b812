// Package reason holds the errors that a coordinator answers with, and the gRPC
// code and the reason that each of them has on the wire.
//
// It decides what a caller can tell apart. It decides neither an error's text nor
// whether a call is tried again. All functions may be called from any goroutine.
package reason
