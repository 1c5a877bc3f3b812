// Package peerwire turns the messages between coordinators into their wire form
// and back.
//
// It decides which bytes are a message at all. Decode refuses with ErrMalformed
// whatever would make the receiver panic, and whatever names another sender than
// the stream's. It knows no member's state: package election drops what that state
// shows to be impossible.
//
// All functions are pure and may be called from any goroutine.
package peerwire
