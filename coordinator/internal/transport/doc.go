// Package transport carries messages between coordinators over gRPC streams. A
// member sends to a peer on the streams that it opened to it; the peer's answers
// come on the peer's own.
//
// To a peer that is near there is a stream over each path, which is one of the
// peer's addresses, as soon as one of them has answered. Until then, and to others,
// one stream is tried at all addresses. Small messages go over all paths, others
// over the best. Messages are numbered, and the receiver takes each number once
// (copies.go). Checks show which paths are down (pathwatch.go). A path that is down
// is only told of. Package internal/paths makes these decisions.
//
// It decides when to dial, at which address, and when a fresh connection replaces
// one. It decides which message is dropped when a peer cannot keep up. It refuses
// a foreign cluster or ring, a hello meant for somebody else, and a malformed
// message. A slow, silent or dead peer never holds up the others, nor the caller
// of Send.
//
// A member that lags does not know yet who joined after the state that it has
// applied. One of these may be the leader, and it must answer the leader to catch
// up. So a member that has a stream of this ring open to us, and is not gone, is a
// provisional peer although SetPeers does not list it. It is dialled where its
// hello says, and Send reaches it. It is dropped some seconds after its last
// stream to us ended. When SetPeers lists it, it keeps its stream. There are at
// most 64. A further one takes the place of one that nothing was sent to, if there
// is one.
//
// Every message is delivered with the id and the incarnation that the hello of its
// stream told. A hello ends the streams of smaller incarnations of the same
// member, which are earlier processes. A hello of a smaller incarnation, which
// comes late or from a clock that was set back, is answered and ends nothing. Both
// processes are heard, each under its own incarnation, and the receiver of the
// messages decides whose word counts.
//
// It does not guarantee delivery. A message may be lost when its peer is down or
// slow, and may arrive twice or out of order around a change of connection. A large
// one may arrive after a small one that was sent later. Raft
// snapshots give way to everything else. It does not say who is dead, which the
// monitors do: a broken stream only means that messages may have been lost.
//
// All methods of Transport may be called from any goroutine, also from its
// callbacks but Self and Gone, except Close, which waits for them. SetPeers,
// SelfChanged, Send, Quiet and Wake never block. The gRPC server whose Peer.Stream calls
// ServeStream must be made with ServerOptions.
package transport
