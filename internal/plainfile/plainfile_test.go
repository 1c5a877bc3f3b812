package plainfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// whatever makes one of everything that is no regular file, by the name that
// the error has for it.
func whatever(t *testing.T, dir string) map[string]string {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Mkfifo(at("pipe"), 0o600))
	must(os.Mkdir(at("dir"), 0o700))
	must(os.WriteFile(at("victim"), []byte("precious"), 0o600))
	must(os.Symlink(at("victim"), at("link")))
	must(os.Symlink(at("nowhere"), at("dangling")))
	return map[string]string{"a named pipe": at("pipe"), "a directory": at("dir"), "a symbolic link": at("link"), " a symbolic link ": at("dangling"), "a device": os.DevNull}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	for kind, path := range whatever(t, dir) {
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_TRUNC | os.O_CREATE} {
			f, err := Open(path, flag, 0o600)
			if !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), strings.TrimSpace(kind)) {
				t.Errorf("open %s with flags %x: %v, want an error that says %q", path, flag, err, kind)
			}
			if err == nil {
				_ = f.Close()
			}
		}
		if _, err := ReadFile(path, 1<<20); !errors.Is(err, ErrOther) {
			t.Errorf("read %s: %v", path, err)
		}
	}
	if _, err := OpenDir(filepath.Join(dir, "pipe")); !errors.Is(err, ErrOther) {
		t.Errorf("open a pipe as directory: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "victim")); err != nil || string(b) != "precious" {
		t.Errorf("behind the link is %q, %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a file was made behind the dangling link")
	}
}

func TestReplaceWritesBehindNoLink(t *testing.T) {
	dir := t.TempDir()
	whatever(t, dir)
	victim := filepath.Join(dir, "victim")
	for _, name := range []string{"link", "fresh"} {
		path := filepath.Join(dir, name)
		if err := os.Symlink(victim, path+".new"); err != nil {
			t.Fatal(err)
		}
		if err := Replace(path, []byte("pid"), 0o644, true); err != nil {
			t.Fatal(err)
		}
		if b, err := ReadFile(path, 1<<20); err != nil || string(b) != "pid" {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("behind the links is %q, %v", b, err)
	}
}

// A file that is not ARC's may be larger than the memory.
func TestAFileThatIsTooLongIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path, 8); err != nil || string(b) != "12345678" {
		t.Errorf("8 bytes of 8: %q, %v", b, err)
	}
	if _, err := ReadFile(path, 7); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "8 bytes") {
		t.Errorf("8 bytes of 7: %v", err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip("this file system holds no sparse file of a terabyte: ", err)
	}
	if _, err := ReadFile(path, 1<<30); !errors.Is(err, ErrOther) {
		t.Errorf("a terabyte: %v", err)
	}
}

func TestOwned(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Owned(own); err != nil {
		t.Errorf("an own directory: %v", err)
	}
	if err := os.Chmod(own, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Owned(own); !errors.Is(err, ErrOther) {
		t.Errorf("a directory that everybody may write to: %v", err)
	}
	if os.Geteuid() != 0 {
		return // only root can make directories of others
	}
	foreign := filepath.Join(dir, "foreign")
	if err := errors.Join(os.Mkdir(foreign, 0o755), os.Chown(foreign, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if err := Owned(foreign); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "12345") {
		t.Errorf("a directory of user 12345: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Chmod(own, 0o755), os.Symlink(own, link), os.Lchown(link, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if err := Owned(link); !errors.Is(err, ErrOther) {
		t.Errorf("a link of user 12345: %v", err)
	}
}
