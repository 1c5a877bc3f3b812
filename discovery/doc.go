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
// closes them; Seek, SetRing, Accept and Heard may be called by any goroutine
// between, one Seek at a time. Accept and SetRing work before Run too.
//
// All decisions are in the core (core.go, heard.go, rings.go, founding.go),
// which has no clock, no socket and no goroutine: time and chance are arguments
// and what it wants done comes back as effects. DESIGN.md holds the argument
// why two nodes never both found, and what it rests on.
//
// What this package does not guarantee: that a datagram arrives, that what a
// datagram says is true (an authenticator has its place in the wire, but is not
// there yet), that a found leader still leads when it is asked, or that there is
// one ring only: two halves of a network that cannot hear each other are told
// apart only by whom they were told to expect.
package discovery
