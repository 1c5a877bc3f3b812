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
// All decisions are in the core (core.go, heard.go, rings.go, founding.go,
// stamps.go), which has no clock, no socket and no goroutine. Time, the time of
// day and chance are arguments, and effects come back. DESIGN.md argues why two
// nodes never both found, and what that rests on.
//
// With Options.Seals, datagrams are sealed with the cluster's secret. Nothing is
// decoded that has no good seal. A datagram counts in its cluster alone, within
// durations.ClockSlack of the two clocks, and once. In the clear anybody on the
// link can say anything. No answer is longer than its question, either way.
//
// This package does not guarantee that a datagram arrives, or that a holder of the
// secret says the truth. A leader that was heard may lead no longer when it is
// asked. There may be two rings: only the number of expected nodes keeps two halves
// of a network that cannot hear each other from founding both.
package discovery
