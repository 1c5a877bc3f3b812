// Package foreign is for what comes from outside: from other machines, from
// command lines and from files. It has the grammar of names and addresses, by
// which each door lets in or refuses, and it decides how such a text is
// repeated: in an error or a log line quoted and cut (Quote), on a terminal
// without what would steer that (Text, Lines), and as a whole error (Report).
//
// It decides nothing about meaning: a name may belong to somebody else, an
// address may lead nowhere. All functions may be called from any goroutine.
package foreign
