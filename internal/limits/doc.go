// Package limits is the table of what ARC takes at most: of names, addresses and
// sentences, of messages and memory, of connections and streams. They are here since
// several packages, and both sides of a connection, have to agree on them. How many
// entries a structure keeps for itself, such as the lines of a history, is said where
// the structure is.
//
// It also says in words which limit of the system an error comes from. The kernel's
// own text, "too many open files", names neither the limit nor its value. What
// Explain adds does, with what raises it. It looks at the process's limits when it
// is asked, and changes none.
//
// All functions may be called from any goroutine.
package limits
