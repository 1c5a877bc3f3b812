// Package limits is the table of what ARC takes at most: of names, addresses and
// sentences, of messages and memory, of connections and streams. They are here
// since several packages, and both sides of a connection, have to agree on them.
// The number of entries that a structure keeps for itself, such as the lines of a
// history, is said at the structure. docs/limits.md says what happens one over each
// limit, and a test in package lint compares both.
//
// It also says in words which limit of the system an error comes from. The
// kernel's own text, "too many open files", names neither the limit nor its value.
// Explain adds both, and says how to raise it. It reads the process's limits when
// asked, and changes none.
//
// All functions may be called from any goroutine.
package limits
