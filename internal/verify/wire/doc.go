// Package wire translates what members say to clients (events and
// histories) into the observations of package verify.
//
// It judges nothing itself. Events do not say of which ring they are: those of
// another ring must not be given to the same checker.
package wire
