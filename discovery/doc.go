// Package discovery decides whom a coordinator asks to join a ring, and which
// coordinator may found one. It knows nothing of raft, of terms or of members:
// it hears names in UDP datagrams and compares them.
//
// A Service sends hellos by IPv4 broadcast and IPv6 link-local multicast, and
// answers those of others. Seek looks for a ring and returns the leader's
// addresses, or the word that this node was accepted as the founder. SetRing
// tells the service which ring the node belongs to, so that it can answer, and
// so that it notices another ring of the same cluster. Accept decides what this
// node says to somebody who wants to found.
//
// Order: New opens the sockets; Run serves them until its context ends and
// closes them; Seek, SetRing, Accept and Members may be called by any goroutine
// between, one Seek at a time. Accept and SetRing work before Run too.
//
// All decisions are in the core (core.go, heard.go, rings.go, founding.go), which
// has no clock, no socket and no goroutine. Time and chance are arguments, and
// effects come back. DESIGN.md argues why two nodes never both found, and what
// that rests on.
//
// This package does not guarantee that a datagram arrives, or that it says the
// truth: an authenticator has its place in the wire, but is not there yet. A
// leader that was heard may lead no longer when it is asked. There may be two
// rings: only the number of expected nodes keeps two halves of a network that
// cannot hear each other from founding both.
package discovery
