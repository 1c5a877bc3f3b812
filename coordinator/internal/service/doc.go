// Package service answers calls: the Arc, Peer and Probe services and gRPC health
// on TCP, and the same with Local on the unix socket.
//
// It decides which connection goes when there are too many, where a change is
// carried out (here, or by forwarding it to the leader once), and whether a
// joiner's request can be meant for this ring. What it reads comes from the
// published view, and what it changes goes through the event loop. So no caller
// holds up another one, nor the loop.
//
// It does not guarantee that a forwarded change was made when the leader broke
// off. New makes Servers; Serve may be called once, and Stop after it.
package service
