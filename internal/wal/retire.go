package wal

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Wipe drops the ring, durably, and keeps the directory locked; Init may
// follow.
func (l *Log) Wipe() error { return l.end("wipe log", l.sys.remove) }

// Retire ends the ring in this directory as Wipe does, but keeps the log: it is
// moved into the directory aside, on the same file system, under a name that
// tells ring, id and number. Of the logs there the newest keep are kept. A log
// without a snapshot and without entries is dropped.
func (l *Log) Retire(aside string, keep int) error {
	return l.end("move log aside", func(path string) error {
		if l.state.snapshot == nil && len(l.state.entries) == 0 {
			return l.sys.remove(path)
		}
		if err := makeDir(aside); err != nil {
			return err
		}
		dir, err := os.Open(aside)
		if err != nil {
			return err
		}
		defer dir.Close()
		name := fmt.Sprintf("%s-%d-%s", filepath.Base(l.identity.RingID), l.identity.ID, filepath.Base(path))
		return inOrder(
			func() error { return l.sys.rename(path, filepath.Join(aside, name)) },
			func() error { return dropOldest(aside, keep) },
			func() error { return l.sys.syncDir(dir) })
	})
}

// end takes the newest segment away with the given function, durably.
func (l *Log) end(what string, take func(path string) error) error {
	return l.guarded(func() error {
		if l.seg == nil {
			return nil
		}
		sync := func() error { return l.sys.syncDir(l.dirFile) }
		// An older segment must not outlive the newest, not even in a power cut.
		err := inOrder(l.dropMark, l.dropOthers, sync, func() error { return take(l.seg.path) }, sync)
		if err == nil {
			_ = l.seg.f.Close()
			l.seg, l.state, l.identity = nil, state{}, Identity{}
		}
		return l.fail(what, err)
	})
}

// dropOldest removes all logs in dir but the newest keep.
func dropOldest(dir string, keep int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var logs []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), segmentSuffix) {
			logs = append(logs, info)
		}
	}
	slices.SortFunc(logs, func(a, b os.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(b.Name(), a.Name()))
	})
	for _, info := range logs[min(keep, len(logs)):] {
		if err := os.Remove(filepath.Join(dir, info.Name())); err != nil {
			return err
		}
	}
	return nil
}
