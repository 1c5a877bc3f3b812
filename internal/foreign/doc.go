// Package foreign is for text from outside: from other machines, from command
// lines and from files. It has the grammar of names and addresses, by which each
// entry accepts or refuses. It decides how such a text is repeated: in an error or
// a log line quoted and cut (Quote), on a terminal without control codes (Text,
// Lines), as a whole error (Report), and without what gRPC adds to an error (Plain).
//
// It decides nothing about meaning: a name may belong to somebody else, an
// address may lead nowhere. All functions may be called from any goroutine.
package foreign
