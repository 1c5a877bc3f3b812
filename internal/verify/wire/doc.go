// Package wire translates what members say to clients (events, histories,
// answers to `arc status`) into the observations of package verify.
//
// It judges nothing itself. Events do not say of which ring they are: those of
// another ring must not be given to the same checker.
package wire
