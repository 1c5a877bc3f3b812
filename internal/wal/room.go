package wal

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/arc-ring/arc/internal/plainfile"
)

// roomName is of a file that Open removes, should a crash leave it.
const roomName = "room" + segmentSuffix + tempSuffix

// Room reports, by an error, that the directory does not take what a process that
// opened it now would soon write: the next segment, of the size of the newest one,
// and its reserve. It writes and syncs a file of that size, and removes it. Nobody
// may have the directory open.
func Room(dir string) error { return room(dir, linux{}) }

func room(dir string, sys system) error {
	size := int64(reserveStep)
	numbers, _, err := segments(dir)
	if err != nil {
		return fmt.Errorf("list data directory: %w", advise(dir, err))
	}
	if n := len(numbers); n > 0 {
		if info, err := os.Stat(filepath.Join(dir, segmentName(numbers[n-1]))); err == nil {
			size += info.Size()
		}
	}
	if err := tryWriting(dir, sys, size); err != nil {
		return fmt.Errorf("write %d bytes to data directory: %w", size, advise(dir, err))
	}
	return nil
}

// tryWriting writes a file of a size in dir, makes it durable and removes it.
func tryWriting(dir string, sys system, size int64) (err error) {
	d, err := plainfile.OpenDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	path := filepath.Join(dir, roomName)
	f, err := sys.open(path, os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	s := &segment{sys: sys, f: f, path: path}
	err = inOrder(func() error { return s.zero(0, size) }, s.sync)
	if removed := sys.remove(path); err == nil {
		err = removed
	}
	if err != nil {
		return err
	}
	return sys.syncDir(d)
}
