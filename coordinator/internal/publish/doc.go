// Package publish is what everybody but the event loop sees of a coordinator:
// views, and the events that lead from one to the next.
//
// A Hub keeps the newest View and hands events to subscribers. It decides which
// subscriber is dropped because it does not read, and how a fact reads on the
// wire. It decides nothing about the ring. It does not guarantee that a subscriber
// hears everything: one that is too slow has to begin again with a snapshot.
//
// Views are never changed once published. All methods of Hub may be called from
// any goroutine, but only the event loop may publish, or Run between two
// memberships. None of them blocks.
package publish
