// Package durations is the table of ARC's fixed durations: every timeout,
// interval, back-off and deadline that is no setting of a ring, each with its
// reason. Its test checks what must hold between them, and between them and the
// settings of the profiles.
//
// The settings of a ring, by profile, and what follows from them are in package ring
// (ring/settings.go), which declares no others. Three kinds of durations stay where
// they are used: one that is computed from settings alone, a unit of conversion,
// and the time of day that an output is rounded to. Package lint refuses any other
// duration that is declared elsewhere.
//
// It is pure: it reads no clock. A duration that depends on a setting is a function
// of it.
package durations
