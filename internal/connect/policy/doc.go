// Package policy decides when a process that may have several addresses is
// dialled, and at which of them. It is pure: addresses, the time and the outcome
// of each try come in. The tries to begin and to give up come out.
//
// A Connection is one connection that somebody wants. Its tries go in rounds over
// the addresses. The Rules say how far apart the tries of a round are, whether a
// further round begins although tries of the last one are unanswered, and how long
// the pause is after a round that failed. A connection that stands and is silent
// is kept while a fresh try races it. A caller that wants a connection over each
// of several paths has one Connection for each address.
//
// It does not decide who is at the other end: the caller checks that, and reports
// a try as Won only if the right process answered. It does not decide who is dead
// either.
//
// A Connection belongs to one goroutine, its caller's loop, which reports what
// happens and then carries out what Tick returns.
package policy
