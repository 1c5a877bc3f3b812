// Package logging decides how ARC logs: one hclog logger at the root of a
// process, its level and its format, and the names of the loggers below it.
//
// Everything else takes a logger in its options. Where it may be nil, its comment says
// so, and nil stands for hclog.NewNullLogger. There is no package-level logger, here or
// elsewhere.
// The builder of a process (the command line, a test) calls New once; the
// returned logger may be used by any goroutine, and SetLevel on it reaches all
// loggers that were named below it.
//
// The daemons log by NewAsync: neither a held terminal nor a full pipe may keep an
// event loop from answering in time.
//
// It does not rotate, filter or ship logs: they go to the writer that it was
// given, stderr in practice.
package logging
