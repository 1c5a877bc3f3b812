package wal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// faulty fails where its functions say so.
type faulty struct {
	linux
	onReserve, onSync, onRemove func() error
}

func (s *faulty) reserve(f *os.File, off, n int64) error {
	if s.onReserve != nil {
		if err := s.onReserve(); err != nil {
			return err
		}
	}
	return s.linux.reserve(f, off, n)
}

func (s *faulty) datasync(f *os.File) error {
	if s.onSync != nil {
		if err := s.onSync(); err != nil {
			return err
		}
	}
	return s.linux.datasync(f)
}

func (s *faulty) remove(path string) error {
	if s.onRemove != nil {
		if err := s.onRemove(); err != nil {
			return err
		}
	}
	return s.linux.remove(path)
}

func mustOpenOn(t *testing.T, dir string, sys system, o Options) *Log {
	t.Helper()
	l, _, err := open(dir, o, sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestFailedSyncPoisonsTheLog(t *testing.T) {
	dir := t.TempDir()
	sys := &faulty{}
	l := mustOpenOn(t, dir, sys, Options{})
	if err := l.Init(testIdentity, Batch{}); err != nil {
		t.Fatal(err)
	}
	sys.onSync = func() error { return unix.EIO }
	first := l.Save(Batch{HardState: hard(1, 0, 0), Sync: true})
	if !errors.Is(first, unix.EIO) || !strings.Contains(first.Error(), "check the disk") {
		t.Fatalf("got %v", first)
	}
	sys.onSync = func() error { t.Error("synced again after a failed sync"); return nil }
	for name, call := range map[string]func() error{
		"save":  func() error { return l.Save(Batch{HardState: hard(2, 0, 0), Sync: true}) },
		"empty": func() error { return l.Save(Batch{Sync: true}) },
		"init":  func() error { return l.Init(testIdentity, Batch{}) },
		"wipe":  l.Wipe,
		"close": l.Close,
	} {
		if err := call(); err != first {
			t.Errorf("%s: got %v, want the first error", name, err)
		}
	}
	l, r := mustOpen(t, dir) // the lock was given back
	if term := r.HardState.GetTerm(); term > 1 {
		t.Fatalf("got term %d: a save after the failure was written", term)
	}
	mustSave(t, l, Batch{HardState: hard(3, 0, 0), Sync: true})
}

func TestSnapshotOnAFullDiskLeavesTheLog(t *testing.T) {
	dir := t.TempDir()
	sys := &faulty{}
	l := mustOpenOn(t, dir, sys, Options{})
	if err := l.Init(testIdentity, Batch{Entries: entries(1, 1, 5), HardState: hard(1, 0, 5)}); err != nil {
		t.Fatal(err)
	}
	before := readFile(t, onlySegment(t, dir))
	sys.onReserve = func() error { return &os.PathError{Op: "fallocate", Path: "x", Err: unix.ENOSPC} }
	err := l.Save(Batch{Snapshot: snapshot(5, 1, "five")})
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "free space there") ||
		!strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(readFile(t, onlySegment(t, dir)), before) {
		t.Fatal("the segment was changed, or an unfinished one is left")
	}
	if err := l.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("close: %v", err)
	}
	if _, r := mustOpen(t, dir); len(r.Entries) != 5 {
		t.Fatalf("got %s", describe(r))
	}
}

func TestWithoutFallocate(t *testing.T) {
	for _, errno := range []error{unix.EOPNOTSUPP, unix.ENOSYS} {
		dir := t.TempDir()
		l := mustOpenOn(t, dir, &faulty{onReserve: func() error { return errno }}, Options{})
		if err := l.Init(testIdentity, Batch{}); err != nil {
			t.Fatal(err)
		}
		mustSave(t, l, Batch{Entries: entriesOf(1, 1, strings.Repeat("x", reserveStep)), Sync: true})
		abandon(l)
		if _, r := mustOpen(t, dir); len(r.Entries) != 1 {
			t.Fatalf("got %s", describe(r))
		}
	}
}

func TestOldSegmentThatStaysIsRemovedLater(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	sys := &faulty{}
	l := mustOpenOn(t, dir, sys, Options{Logger: warnings(&log)})
	if err := l.Init(testIdentity, Batch{}); err != nil {
		t.Fatal(err)
	}
	sys.onRemove = func() error { return unix.EBUSY }
	mustSave(t, l, Batch{Snapshot: snapshot(5, 1, "five")})
	if !strings.Contains(log.String(), "old log segment not removed") {
		t.Errorf("logged %q", log.String())
	}
	sys.onRemove = nil
	mustSave(t, l, Batch{Snapshot: snapshot(6, 1, "six")})
	onlySegment(t, dir)
}

// TestFullDisk fills a small file system of its own, which goes away with the
// thread that mounted it.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: mounts a small file system; the same is tested with injected errors")
	}
	dir := t.TempDir()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must end here
		done <- onSmallDisk(dir, func() error { return fillDisk(dir) })
	}()
	err := <-done
	if errors.Is(err, errNoMount) {
		t.Skipf("this machine or container forbids root to mount a small file system: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var errNoMount = errors.New("cannot mount a small file system here")

func onSmallDisk(dir string, f func() error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=900k"); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	return errors.Join(f(), unix.Unmount(dir, unix.MNT_DETACH))
}

// fillDisk runs in the thread that sees the small disk. A first run fills the
// disk with entries, a second one finds no room for a snapshot, a third one
// has room again.
func fillDisk(dir string) error {
	l, _, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	if err := l.Init(testIdentity, Batch{HardState: hard(1, 1, 0)}); err != nil {
		return err
	}
	saved := uint64(0)
	for {
		err = l.Save(Batch{Entries: entriesOf(saved+1, 1, strings.Repeat("x", 10_000)), Sync: true})
		if err != nil {
			break
		}
		saved++
	}
	if !errors.Is(err, unix.ENOSPC) || saved < 20 {
		return fmt.Errorf("after %d entries: got %w, want %w", saved, err, unix.ENOSPC)
	}
	if err := l.Close(); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("close: %w", err)
	}

	l, r, err := Open(dir, Options{})
	if err != nil {
		return fmt.Errorf("open on the full disk: %w", err)
	}
	if n := uint64(len(r.Entries)); n != saved || r.HardState.GetTerm() != 1 {
		return fmt.Errorf("%d entries were saved, %d found on the full disk", saved, n)
	}
	if err := l.Save(Batch{Snapshot: snapshot(1, 1, "one")}); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("snapshot on the full disk: got %w", err)
	}
	if err := l.Close(); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("close: %w", err)
	}

	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=4m"); err != nil {
		return err
	}
	if l, r, err = Open(dir, Options{}); err != nil {
		return fmt.Errorf("open with room again: %w", err)
	}
	if n := uint64(len(r.Entries)); n != saved {
		return fmt.Errorf("%d entries were saved, %d found with room again", saved, n)
	}
	return errors.Join(
		l.Save(Batch{Snapshot: snapshot(saved, 1, "all")}),
		l.Save(Batch{Entries: entriesOf(saved+1, 1, "more"), Sync: true}),
		l.Close())
}

const holdLock = "WAL_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdLock); dir != "" {
		os.Exit(hold(dir))
	}
	os.Exit(m.Run())
}

// hold is the other process of TestLockOfAnotherProcess.
func hold(dir string) int {
	l, _, err := Open(dir, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("locked")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the test ends
	runtime.KeepAlive(l)
	return 0
}

func TestLockOfAnotherProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdLock+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Errorf("helper said %q, error %v", line, err)
	}
	_, _, err = Open(dir, Options{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d;", cmd.Process.Pid)) ||
		!strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want the pid %d", err, cmd.Process.Pid)
	}
	// kill -9 frees the directory.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	l, _ := mustOpen(t, dir)
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "this process") {
		t.Errorf("got %v, want this process", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, nil)
	if _, _, err := Open(filepath.Join(file, "data"), Options{}); !errors.Is(err, unix.ENOTDIR) || !strings.Contains(err.Error(), "choose another --data-dir") {
		t.Errorf("below a file: %v", err)
	}
	if _, _, err := Open(file, Options{}); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}

// Nothing was saved in a directory that could not be made, and another one does
// as well.
func TestADirectoryThatCannotBeMade(t *testing.T) {
	there := t.TempDir()
	missing := filepath.Join(there, "data")
	for _, errno := range []error{unix.EACCES, unix.EROFS, unix.ENOSPC, unix.EIO, unix.EMFILE, unix.ENOTDIR} {
		err := adviseMaking(missing, errno)
		if text := err.Error(); !errors.Is(err, errno) || strings.Contains(text, "intact") || !strings.HasSuffix(text, "; make "+missing+", or choose another --data-dir") {
			t.Errorf("%v where nothing is: %v", errno, err)
		}
	}
	if err := adviseMaking(there, unix.EACCES); !strings.Contains(err.Error(), "what was saved before is intact in "+there) {
		t.Errorf("where a directory is: %v", err)
	}
}
