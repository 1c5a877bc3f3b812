// Package connect is how one ARC process connects to another: monitors and peers,
// for probes and certificates, to forward a call, and as a client of a
// coordinator. Package connect/policy decides when to dial, and at which of
// several addresses. This package carries it out.
//
// An address is HOST:PORT or unix:///PATH. A Dialer dials every node but its own.
// Its Net and Over together make a gRPC connection that does not heal. It is for
// callers that need to know why dialling failed, which gRPC reports as text alone.
// Its Conn makes one that heals itself. Race tries all addresses of a process
// once. A loop that keeps streams of its own (a peer's, a monitor's) holds a
// policy.Connection: no goroutine stands between it and what its streams say.
//
// All connections have static windows of 64 KiB, which cost least for small
// messages, and go through sockio. Transport security has one place: the Dialer's
// Credentials. Without any everything is sent in the clear.
//
// A connection does not prove who answers. The dialler checks that.
//
// All functions and methods may be called from any goroutine.
package connect
