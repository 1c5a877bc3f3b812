// Package dial decides how one ARC process connects to another over gRPC: how
// addresses are written, that connections keep static windows of 64 KiB (which
// cost least for small messages), how soon a lost one is tried again, and how
// "nobody listens" is told from silence.
//
// An address is HOST:PORT or unix:///PATH. Conn returns a connection that
// heals itself; Net and Over together make one that does not, for callers that
// need to know why dialling failed, which gRPC reports as text alone.
//
// It does not encrypt: until the caller passes credentials, everything is sent
// in the clear. All functions may be called from any goroutine.
package dial
