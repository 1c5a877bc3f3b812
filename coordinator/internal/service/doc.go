// Package service answers calls: the Arc, Peer and Probe services and gRPC health
// on TCP, and the same with Local on the unix socket.
//
// It decides which connection goes when there are too many, and whether a joiner's
// request can be meant for this ring. It carries a change out here, or forwards it
// to the leader once. It reads the published view, and changes go through the
// event loop. So no caller holds up another one, nor the loop.
//
// Calls that only read are in arc.go, joins and what an operator asks for in
// changes.go. A change of the ring has a field forwarded, and goes by atLeader.
// Calls of the own monitor and of this machine's programs are in local.go, those
// of peers in peer.go. A new call needs messages in proto/arc/v1 (public),
// proto/arc/peer or proto/arc/local, and a run of scripts/proto. Its answer is
// here. If people call it, it needs client, a command of cmd/arc, and
// internal/fakearc, which stands for a coordinator in the tests of both. Its
// errors get a code in coordinator/internal/reason. A new service is also
// registered in New (serve.go).
//
// If the leader breaks off, nobody knows whether a forwarded change was made. New
// makes Servers; Serve may be called once, and Stop after it.
package service
