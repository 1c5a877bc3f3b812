package main

import (
	"os"
	"path/filepath"
)

// ownImage is the file of the running program. Unlike its path it is there, and
// is the same version, when an upgrade has replaced or removed the program.
const ownImage = "/proc/self/exe"

// keepName gives a process that was executed by ownImage the name that ps and
// pgrep know: the kernel took it from that path. Without it the process has an
// odd name and nothing worse.
func keepName() {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
}
