// Package testserver runs gRPC servers for tests: what a fake coordinator, another
// member or a stranger serves. A Host can end like a process, lose its connections
// while it goes on, and refuse the next ones.
//
// It is for tests alone, as a test in internal/lint demands. The test brings the
// services; internal/fakearc has the one that clients use.
package testserver
