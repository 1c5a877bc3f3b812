// Package testwait is how tests wait. There are three ways, and none of them is
// to sleep:
//
//   - for a signal: a channel of the code under test, or of a fake. Nothing here
//     is needed for that;
//   - for a state that sends no signal, such as another process's: Until asks for
//     it, and fails the test in the end;
//   - for time to pass: in a synctest bubble Virtual, which also waits until all
//     that was due is done, and outside of one Real, which says why.
//
// It is for tests alone: a test in internal/lint keeps it out of other files, and
// time.Sleep out of tests.
package testwait
