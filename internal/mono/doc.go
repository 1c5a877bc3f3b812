// Package mono holds the type for points in monotonic time. It is pure: it reads
// no clock. Package monotime does.
package mono
