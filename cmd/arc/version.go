package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is the JSON of `arc version`.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func newVersionCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "The version of this program",
		Example: "  arc version",
		RunE: func(*cobra.Command, []string) error {
			v := versionOf()
			return f.print(v, func(w io.Writer) {
				line(w, "arc %s (commit %s, %s, %s/%s)", v.Version, or(v.Commit), v.Go, v.OS, v.Arch)
			})
		},
	}
}

// versionOf is what the linker wrote down: a tag, or a time and a commit, and
// "+dirty" if the tree had changes.
func versionOf() versionInfo {
	v := versionInfo{Version: "dev", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}

// ownImage is the file of the running program. Unlike its path it is there, and
// is the same version, when an upgrade has replaced or removed the program.
const ownImage = "/proc/self/exe"

// keepName gives a process that was executed by ownImage the name that ps and
// pgrep know: the kernel took it from that path. Without it the process has an
// odd name and nothing worse.
func keepName() {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
}
