package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/arc-ring/arc/internal/plainfile"
)

// The file "end" remembers how far the log was durable, outside the log: a log
// that was shortened, or put back from an older copy, looks whole. It has two
// slots, written in turn, all numbers little-endian:
//
//	 0  magic     8
//	 8  turn      8  the slot with the higher one counts
//	16  salt      8  of the segment
//	24  number    8  of the segment
//	32  record    8  the last one known to be synced
//	40  size      8  of the segment's file, synced
//	48  checksum  4  CRC-32C of all before
//
// It is written some time after a sync (see Mark) and never synced itself, so it
// costs no sync, and after a power cut it may be as old as the system lets it lie. It then says
// less, never more, than what was durable.
const (
	endName     = "end"
	endMagic    = "ARCEND\r\n"
	endSlot     = 64
	endChecksum = 48
	endMost     = 4096 // no file of ARC's is longer
)

// endMark is what the file says; zero if it says nothing.
type endMark struct {
	turn, salt, number, record uint64
	size                       int64
}

func (e *endMark) encode() []byte {
	b := append(make([]byte, 0, endSlot), endMagic...)
	for _, v := range []uint64{e.turn, e.salt, e.number, e.record, uint64(e.size)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:endSlot]
}

func decodeEnd(b []byte) (endMark, bool) {
	if len(b) < endSlot || string(b[:len(endMagic)]) != endMagic ||
		binary.LittleEndian.Uint32(b[endChecksum:]) != crc32.Checksum(b[:endChecksum], castagnoli) {
		return endMark{}, false
	}
	v := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	return endMark{turn: v(8), salt: v(16), number: v(24), record: v(32), size: int64(v(40))}, true
}

// readEnd returns the newest good slot, zero without one: an older program wrote
// the directory, or a crash came first.
func readEnd(dir string) (endMark, error) {
	b, err := plainfile.ReadFile(filepath.Join(dir, endName), endMost)
	if errors.Is(err, os.ErrNotExist) {
		return endMark{}, nil
	}
	if err != nil {
		return endMark{}, err
	}
	var newest endMark
	for off := 0; off < 2*endSlot && off < len(b); off += endSlot {
		if e, ok := decodeEnd(b[off:]); ok && e.turn > newest.turn {
			newest = e
		}
	}
	return newest, nil
}

// contradicts says what the newest segment, of size bytes, lacks of what was
// durable, nil if nothing.
func (e endMark) contradicts(number uint64, r *replay, size int64) error {
	switch {
	case number > e.number:
		return nil // it was begun when the power went
	case number < e.number:
		return &damage{why: fmt.Sprintf("it is an older copy: file number %d had been written safely", e.number)}
	case r.seg.header.salt != e.salt:
		return &damage{why: "it is not the file that was written here under this name"}
	case r.seg.record < e.record:
		return &damage{r.seg.off, fmt.Sprintf("the log was shortened: it ends after record %d, and record %d had been written safely", r.seg.record, e.record)}
	case size < e.size:
		return &damage{size, fmt.Sprintf("the log was shortened: the file has %d bytes, and had %d", size, e.size)}
	}
	return nil
}

// markEnd writes down that the segment is durable as far as it goes.
func (l *Log) markEnd() error {
	path := filepath.Join(l.dir, endName)
	if l.endFile == nil {
		f, err := l.sys.open(path, os.O_CREATE)
		if err != nil {
			return err
		}
		l.endFile = f
	}
	l.mark = endMark{turn: l.mark.turn + 1, salt: l.seg.header.salt, number: l.number, record: l.seg.synced, size: l.seg.reserved}
	return l.sys.write(l.endFile, l.mark.encode(), int64(l.mark.turn%2)*endSlot)
}

// dropMark forgets it, before the segment goes.
func (l *Log) dropMark() error {
	_ = l.endFile.Close() // which may be nil
	l.endFile, l.mark = nil, endMark{}
	err := l.sys.remove(filepath.Join(l.dir, endName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
