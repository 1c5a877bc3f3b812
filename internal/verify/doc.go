// Package verify judges the guarantees G1 to G3 by what was observed of a ring. It
// has one checker for the simulator, for rings of local processes and for the lab.
// They only translate what they saw into the observations below.
//
//   - G1: one leader per token, one claimant per token, tokens rise along every
//     stream and along the log.
//   - G2: a claim is over before a claim with a higher token begins. Two claims
//     at one instant break that, and so does a claim that comes back.
//   - G3: only declared leaders claim, and a declared leader is the heir.
//   - ids: an id belongs to one member.
//
// The observations may be incomplete and come late: a fact that is not known is
// left zero, and a claim may be known for some instant of a span alone. A
// violation is reported only if no truth fits the observations.
//
// The package is pure: it has no clock and starts nothing. The rule of the heir
// is written down here a second time, apart from package ring. The Checker
// belongs to one goroutine.
package verify
