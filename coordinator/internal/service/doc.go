// Package service answers calls: the Arc, Peer and Probe services and gRPC health
// on TCP, and the same with Local on the unix socket.
//
// It decides which connection goes when there are too many, where a change is
// carried out (here, or by forwarding it to the leader once), and whether a
// joiner's request can be meant for this ring. What it reads comes from the
// published view, and what it changes goes through the event loop. So no caller
// holds up another one, nor the loop.
//
// A call that only reads is in arc.go, one that an operator asks for in
// changes.go (a change of the ring has a field forwarded, and goes by atLeader), one
// from the own monitor or from a program of this machine in local.go, one from a peer in
// peer.go. A new call goes through these places: its messages in proto/arc/v1 (public),
// proto/arc/peer or proto/arc/local, and scripts/proto; its answer here; client and a
// command of cmd/arc, if people call it; internal/fakearc, which stands for a
// coordinator in the tests of both. Its errors get a code in coordinator/internal/reason.
// A new service is also registered in New (serve.go).
//
// It does not guarantee that a forwarded change was made when the leader broke
// off. New makes Servers; Serve may be called once, and Stop after it.
package service
