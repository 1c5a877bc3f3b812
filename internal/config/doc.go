// Package config decides the effective value of a process's options: flags
// before environment before file before defaults.
//
// A Set is filled by Var and its relatives, which also define the flags, then
// resolved once. A layer wins if the value was set in it, not if it is non-zero,
// so that any layer can say false or 0. An option --log-level is ARC_LOG_LEVEL in
// the environment and log-level in the TOML file. Unknown keys of the file are
// refused. Every bad value is reported, not just the first, each with the place
// that it came from.
//
// It does not check rules between options: the caller does. A Set belongs to one
// goroutine.
package config
