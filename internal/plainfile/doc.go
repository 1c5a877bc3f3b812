// Package plainfile opens the files and directories that ARC keeps its own state
// in, and refuses whatever else lies under their names.
//
// A named pipe would hold up the process that opens it for good, a device does
// whatever it does, and a symbolic link leads to a file that is somebody
// else's. So what is opened is a regular file, or a directory, and nothing that
// a link points to.
//
// It protects from what lies there by mistake, and from other users who can
// write to the directory at the moment of opening. It does not lock anything.
package plainfile
