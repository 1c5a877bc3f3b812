// Package limits says in words which limit of the system an error comes from.
//
// The kernel's own text, "too many open files", names neither the limit nor its
// value. What this package adds does, with what raises it. It looks at the
// process's limits when it is asked, and changes none.
package limits
