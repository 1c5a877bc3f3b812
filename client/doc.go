// Package client is the Go SDK of ARC for programs on a member's machine, and
// what the command line itself is built on.
//
// A Client decides how a coordinator is reached (unix socket or TCP) and what its
// errors mean. It never decides who leads, and keeps no state of the ring. All
// methods may be called by several goroutines. Every call is bounded by its
// context alone: pass one with a deadline. A call whose context ended wraps the
// context's error. Close ends all calls with ErrClosed.
//
//	c, err := client.New(client.DefaultAddr())
//	…
//	st, err := c.AwaitLeader(ctx, true) // until this machine leads
//	use(st.Term)                        // the fencing token
//
// An answer may be true no longer when it arrives. StatusResponse.Claiming was
// true at the moment of asking, and stays true for LeaseMs at the most. A guarded
// resource has to check the token itself.
package client
