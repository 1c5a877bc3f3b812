// Package testserver runs gRPC servers for tests: what a fake coordinator, another
// member or a stranger serves. A Host can end like a process, lose its connections
// while it goes on, and slam the door on the next ones.
//
// It is for tests alone, as a test in internal/lint demands. What is served is the
// test's; internal/fakearc has the service that clients use.
package testserver
