// Package lint holds the rules of this repository that a compiler does not
// check, as Go tests: which packages are pure, who may import whom, that every
// package says what it decides, how long a file may be, that the design
// pages quote constants as they are, and that every dependency has a stated
// reason.
//
// It has no code besides its tests and nobody imports it. The tests read
// syntax alone: they see a forbidden import or a call of time.Now, not a
// function value that came from elsewhere.
package lint
