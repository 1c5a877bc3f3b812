// Package fakearc is an Arc service for tests of its callers. Each method answers
// with a function that the test sets, or with codes.Unimplemented.
//
// It decides nothing and keeps no ring; it shows how answers and errors of a
// real gRPC server reach the client and the command line. Set the functions
// before Serve; they are called from many goroutines.
package fakearc
