// Package plainfile opens the files and directories that ARC keeps its own state
// in, and refuses whatever else lies under their names.
//
// A named pipe would hold up the process that opens it forever, a device may do
// anything, and a symbolic link leads to somebody else's file. So it opens regular
// files and directories only, and follows no link.
//
// A file gets a new content in one piece (Replace), or by one writer at a time
// (Draft).
//
// It protects from what is there by mistake, and from other users who can write to
// the directory at the moment of opening. It locks nothing but a Draft.
package plainfile
