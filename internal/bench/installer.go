package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// installer is where programs come from: the machine itself, or a cache directory
// into which packages are unpacked. Nothing is installed, so no service starts
// and nothing has to be removed.
type installer struct {
	cache string
	say   func(format string, args ...any)
	// offline forbids fetching.
	offline bool
	// arc is the arc binary; built when empty.
	arc string
	// temp is for what this run alone needs.
	temp string
	// updated is set once apt's lists were renewed.
	updated bool
}

var errOffline = errors.New("it is not installed here and fetching was forbidden")

// debian finds a program of a Debian package.
func (s *installer) debian(ctx context.Context, pkg, program string) (programs, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return programs{Path: path}, nil
		}
	}
	root := filepath.Join(s.cache, "debian", pkg)
	if _, err := os.Stat(root); err != nil {
		if s.offline {
			return programs{}, errOffline
		}
		if err := s.unpack(ctx, pkg, root); err != nil {
			return programs{}, fmt.Errorf("fetch the Debian package %s: %w", pkg, err)
		}
	}
	var p programs
	for _, dir := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
		path := filepath.Join(root, dir, program)
		if _, err := os.Stat(path); err == nil {
			p.Path = path
		}
	}
	if p.Path == "" {
		return programs{}, fmt.Errorf("the Debian package %s in %s has no program %s", pkg, root, program)
	}
	var libraries []string
	for _, pattern := range []string{"lib/*-linux-*", "usr/lib/*-linux-*", "usr/lib"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return programs{}, err
		}
		libraries = append(libraries, found...)
	}
	p.Env = []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, ":")}
	return p, nil
}

// unpack downloads a package with all that it depends on and is not installed,
// and unpacks it all below root.
func (s *installer) unpack(ctx context.Context, pkg, root string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return err
	}
	s.say("fetching the Debian package %s into %s", pkg, s.cache)
	fresh := root + ".new"
	archives := root + ".archives"
	defer os.RemoveAll(fresh)
	defer os.RemoveAll(archives)
	for _, dir := range []string{fresh, filepath.Join(archives, "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	download := func() error {
		// apt gives up root for the download and then may not write there.
		_, err := output(ctx, "", "apt-get", "install", "-y", "--no-install-recommends", "--download-only",
			"-o", "APT::Sandbox::User=root", "-o", "Dir::Cache::archives="+archives, pkg)
		return err
	}
	err := download()
	if err != nil && !s.updated {
		s.updated = true
		if _, err := output(ctx, "", "apt-get", "update"); err != nil {
			return err
		}
		err = download()
	}
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("apt-get downloaded nothing: %w", err)
	}
	for _, f := range files {
		if _, err := output(ctx, "", "dpkg", "-x", f, fresh); err != nil {
			return err
		}
	}
	return os.Rename(fresh, root)
}

// module builds the main package of a Go module at a version. It has a module
// of its own in the cache, since ours shall not know of it.
func (s *installer) module(ctx context.Context, name, pkg, version string) (programs, error) {
	dir := filepath.Join(s.cache, "go", name+"-"+version)
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return programs{Path: path}, nil
	}
	if s.offline {
		return programs{}, errOffline
	}
	s.say("building %s %s in %s", name, version, s.cache)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return programs{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module peer\n\ngo 1.26.0\n"), 0o644); err != nil {
		return programs{}, err
	}
	for _, args := range [][]string{{"get", pkg + "@" + version}, {"build", "-o", name + ".new", pkg}} {
		if _, err := output(ctx, dir, "go", args...); err != nil {
			return programs{}, fmt.Errorf("build %s %s: %w", pkg, version, err)
		}
	}
	return programs{Path: path}, os.Rename(path+".new", path)
}

// BuildArc builds arc from the repository that the working directory is in. Path
// is absolute.
func BuildArc(ctx context.Context, path string) error {
	dir, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/arc-ring/arc")
	if err == nil {
		_, err = output(ctx, "", "go", "build", "-C", strings.TrimSpace(dir), "-o", path, "./cmd/arc")
	}
	if err != nil {
		return fmt.Errorf("build arc (run this in its repository, or use --arc FILE): %w", err)
	}
	return nil
}

// own finds arc, or builds it.
func (s *installer) own(ctx context.Context) (programs, error) {
	if s.arc == "" {
		s.say("building arc")
		path := filepath.Join(s.temp, "arc")
		if err := BuildArc(ctx, path); err != nil {
			return programs{}, err
		}
		s.arc = path
	}
	path, err := filepath.Abs(s.arc)
	if err != nil {
		return programs{}, err
	}
	if _, err := os.Stat(path); err != nil {
		return programs{}, err
	}
	return programs{Path: path}, nil
}

// version asks a program for the first line of what it says about itself.
func (p programs) version(ctx context.Context, args ...string) string {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Env = append(os.Environ(), p.Env...)
	out, err := cmd.CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line == "" {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

// output runs a program to its end; its stderr is in the error.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	if dir != "" { // a module of the cache, not ours
		cmd.Env = append(cmd.Env, "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said[max(0, len(said)-500):])
	}
	return string(out), nil
}
