// Package paths decides how messages to a peer use the ways to it, when it has
// several addresses. It decides which addresses have a path of their own, which
// message goes over which of them, and which copy of a message counts. From checks
// that go over all paths to a peer it decides which path is in doubt, and when an
// operator is told of it.
//
// It is pure: addresses, the outcome of checks and the time come in, and plain
// values come out. It neither dials nor sends. It does not say who is dead: a check
// that no path of a peer acknowledges says nothing of any path.
//
// A Book or a Copies belongs to one goroutine at a time.
package paths
