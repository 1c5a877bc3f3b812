package plainfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// written is what one draft makes of a path.
func written(path string, write func(*Draft) error) error {
	d, err := NewDraft(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return write(d)
}

func create(d *Draft) error  { return d.Create([]byte("new"), 0o640) }
func replace(d *Draft) error { return d.Replace([]byte("new")) }

// alone checks that a directory has these files and no other.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, e.Name())
	}
	if g, w := strings.Join(got, " "), strings.Join(names, " "); g != w {
		t.Errorf("%s has %q, want %q", dir, g, w)
	}
}

func TestADraftIsCreatedWithItsModeUnderAnyUmask(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		old := unix.Umask(umask)
		err := written(path, create)
		unix.Umask(old)
		if err != nil {
			t.Fatalf("umask %o: %v", umask, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("umask %o: %v, %v", umask, info.Mode(), err)
		}
		alone(t, dir, "f")
	}
}

func TestCreateReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	kinds := whatever(t, dir)
	kinds["a regular file"] = filepath.Join(dir, "victim")
	for kind, path := range kinds {
		if path == os.DevNull {
			continue // no draft belongs beside it
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := written(path, create); !errors.Is(err, os.ErrExist) || errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", kind, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced: %v", kind, err)
		}
	}
	alone(t, dir, "dangling", "dir", "link", "pipe", "victim")
	if b, err := os.ReadFile(filepath.Join(dir, "victim")); err != nil || string(b) != "precious" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestADraftReplacesRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	for kind, path := range whatever(t, dir) {
		if path == os.DevNull {
			continue
		}
		if err := written(path, replace); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := written(filepath.Join(dir, "none"), replace); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	alone(t, dir, "dangling", "dir", "link", "pipe", "victim")
}

func TestADraftKeepsModeAndOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // only root can make files of others
		uid, gid = 12345, 54321
	}
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Chown(path, uid, gid), os.Chmod(path, 0o440)); err != nil {
		t.Fatal(err)
	}
	if err := written(path, replace); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); info.Mode() != 0o440 || int(s.Uid) != uid || int(s.Gid) != gid {
		t.Errorf("it became %v of %d:%d", info.Mode(), s.Uid, s.Gid)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "new" {
		t.Errorf("it holds %q, %v", b, err)
	}
}

// The draft of a process that was cut off may be a secret; nobody deletes it, or
// writes behind a link of its name.
func TestThereIsOneDraftAtATime(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	d, err := NewDraft(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := written(path, create); !errors.Is(err, ErrBusy) || errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), path+".new") {
		t.Errorf("a second draft: %v", err)
	}
	alone(t, dir, "f.new")
	d.Close()
	alone(t, dir)
	if err := os.Symlink(filepath.Join(dir, "nowhere"), path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := written(path, create); !errors.Is(err, ErrBusy) {
		t.Errorf("a link: %v", err)
	}
	alone(t, dir, "f.new")
}

// A write that stops in the middle changes nothing.
func TestAFailedWriteLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	const most = 1 << 20 // more than what go test itself writes meanwhile
	data := bytes.Repeat([]byte("new"), most)
	for what, fails := range map[string]func() error{
		"a draft that replaces": func() error { return written(path, func(d *Draft) error { return d.Replace(data) }) },
		"a draft that creates": func() error {
			return written(filepath.Join(dir, "g"), func(d *Draft) error { return d.Create(data, 0o600) })
		},
		"a replacement": func() error { return Replace(path, data, 0o600, true) },
	} {
		if err := withFilesOf(t, most, fails); !errors.Is(err, unix.EFBIG) {
			t.Errorf("%s: %v", what, err)
		}
		alone(t, dir, "f")
		if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
			t.Errorf("%s: the file holds %q, %v", what, b, err)
		}
	}
}

// withFilesOf calls f while this process's files may have so many bytes.
func withFilesOf(t *testing.T, most uint64, f func() error) error {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	return f()
}
