package wal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/sys/unix"
)

const (
	segmentSuffix = ".log"
	tempSuffix    = ".tmp"
	// reserveStep is how much room is made at a time.
	reserveStep = 256 << 10
	// baseChunk bounds the entries in one record of a base.
	baseChunk = 1 << 20
	// compactMin is the smallest size at which a segment is rewritten without
	// a snapshot having come.
	compactMin = 4 << 20
	// segmentMost is the longest segment that is read; compaction keeps those of
	// ARC far below it.
	segmentMost = 1 << 30
)

var zeros [reserveStep]byte

// segment is the file that is written to.
type segment struct {
	sys    system
	f      *os.File
	path   string
	header header
	// record is the number of the last record, synced that of the last one
	// known to be durable.
	record, synced uint64
	// off is where the next record goes; up to reserved there is room, zeroed.
	off, reserved int64
	// compactAt is the size that starts the next segment.
	compactAt int64
	// sealed is true if the last record is an empty one.
	sealed bool
	buf    []byte
}

func segmentName(number uint64) string { return fmt.Sprintf("%020d%s", number, segmentSuffix) }

// segments lists the numbers of the segments in dir, oldest first, and the
// unfinished files.
func segments(dir string) (numbers []uint64, temps []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, segmentSuffix+tempSuffix) {
			temps = append(temps, filepath.Join(dir, name))
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 10, 64)
		if err == nil && name == segmentName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, temps, nil
}

// Holds reports whether the directory holds a log, be it a damaged one. It
// changes nothing there.
func Holds(dir string) (bool, error) {
	numbers, _, err := segments(dir)
	if err != nil || len(numbers) > 0 {
		return err == nil, err
	}
	_, err = os.Lstat(filepath.Join(dir, endName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// newSegment writes st as the base of a segment with that number and makes it
// the newest one in dir, durably. On error the directory is as before, apart
// from an unfinished file that could not be removed, or the new segment may
// already be the newest one.
func newSegment(sys system, dir *os.File, number uint64, id Identity, st *state) (_ *segment, err error) {
	var salt [8]byte
	_, _ = rand.Read(salt[:]) // which never fails
	path := filepath.Join(dir.Name(), segmentName(number))
	temp := path + tempSuffix
	f, err := sys.open(temp, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = sys.remove(temp)
		}
	}()
	s := &segment{
		sys: sys, f: f, path: path,
		header: header{salt: binary.LittleEndian.Uint64(salt[:]), number: number, identity: id},
	}
	s.off = s.header.size()
	err = inOrder(func() error { return s.writeBase(st) }, s.sync, func() error { return sys.rename(temp, path) })
	if err != nil {
		return nil, err
	}
	if err := sys.syncDir(dir); err != nil {
		return nil, fmt.Errorf("sync directory: %w", err)
	}
	return s, nil
}

// writeBase writes the records that hold st, and then the header, which counts
// them. The hard state comes last, since its commit index speaks of the entries
// before it.
func (s *segment) writeBase(st *state) error {
	b, rest := Batch{Snapshot: st.snapshot, Bound: st.bound}, st.entries
	for {
		n, size := 0, 0
		for n < len(rest) && (n == 0 || size+len(rest[n].GetData()) < baseChunk) {
			size += len(rest[n].GetData()) + 32
			n++
		}
		b.Entries, rest = rest[:n], rest[n:]
		if len(rest) == 0 && st.hard.set {
			b.HardState = &raftpb.HardState{Term: &st.hard.term, Vote: &st.hard.vote, Commit: &st.hard.commit}
		}
		if err := s.append(&b); err != nil {
			return err
		}
		if len(rest) == 0 {
			s.compactAt, s.header.base = max(compactMin, 2*s.off), s.record
			return s.sys.write(s.f, s.header.encode(), 0)
		}
		b = Batch{}
	}
}

// encode puts the record of b into s.buf.
func (s *segment) encode(b *Batch) error {
	if cap(s.buf) < recordHeaderSize || cap(s.buf) > 2*baseChunk {
		s.buf = make([]byte, recordHeaderSize, 4<<10)
	}
	buf, err := appendPayload(s.buf[:recordHeaderSize], b)
	if err != nil {
		return err
	}
	if n := len(buf) - recordHeaderSize; n > maxPayload {
		return fmt.Errorf("%w: a record of %d bytes, at most %d fit", ErrInvalid, n, maxPayload)
	}
	s.buf = buf
	var flags uint32
	if b.Sync {
		flags = flagSync
	}
	sealRecord(buf, s.header.salt, s.record+1, s.synced, flags)
	return nil
}

// append writes the record of b behind the others.
func (s *segment) append(b *Batch) error {
	return inOrder(func() error { return s.encode(b) }, s.flush)
}

// flush writes the record in s.buf, in one call if there is room for it.
func (s *segment) flush() error {
	n := int64(len(s.buf))
	if s.off+n > s.reserved {
		if err := s.grow(s.off + n); err != nil {
			return err
		}
	}
	if err := s.sys.write(s.f, s.buf, s.off); err != nil {
		return err
	}
	s.off += n
	s.record++
	s.sealed = n == recordHeaderSize
	return nil
}

// grow makes room up to end, and for more if it can be had.
func (s *segment) grow(end int64) error {
	size := (end - s.reserved + reserveStep - 1) / reserveStep * reserveStep
	err := s.sys.reserve(s.f, s.reserved, size)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		size = end - s.reserved
		err = s.sys.reserve(s.f, s.reserved, size)
	}
	// Without fallocate the zeros alone have to make the room.
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if err := s.zero(s.reserved, s.reserved+size); err != nil {
		return err
	}
	s.reserved += size
	return nil
}

func (s *segment) zero(from, to int64) error {
	for from < to {
		n := min(to-from, int64(len(zeros)))
		if err := s.sys.write(s.f, zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

func (s *segment) sync() error {
	if err := s.sys.datasync(s.f); err != nil {
		return err
	}
	s.synced = s.record
	return nil
}

// whole reports, by an error, that nothing leads to the file any more, so that
// what is in it is gone when it is closed, or that somebody shortened it, as
// logrotate does with copytruncate: what was acknowledged is no longer in it.
func (s *segment) whole() error {
	var st unix.Stat_t
	switch err := unix.Fstat(int(s.f.Fd()), &st); {
	case err != nil:
		return nil
	case st.Nlink == 0:
		return fmt.Errorf("%w: %s is not there any more", ErrRemoved, s.path)
	case st.Size < s.reserved:
		return fmt.Errorf("%w: %s was shortened from %d to %d bytes", ErrRemoved, s.path, s.reserved, st.Size)
	}
	return nil
}

// seal writes an empty record whose mark tells that all before is durable,
// unless the last record is such a one, or there is no room left. It is not
// synced: nothing would be missed with it.
func (s *segment) seal() error {
	if s.sealed || s.synced != s.record || s.off+recordHeaderSize > s.reserved {
		return nil
	}
	return s.append(&Batch{})
}

// reopen takes up a segment that was read as r from data. What was read may
// have come from memory alone, after a sync that failed in another process,
// so it is written again; what lies behind is wiped, so that nothing of it
// can ever follow a record that comes.
func reopen(sys system, path string, data []byte, r *replay) (*segment, error) {
	f, err := sys.open(path, 0)
	if err != nil {
		return nil, err
	}
	s := r.seg // a copy: what else was read is not kept
	s.sys, s.f, s.path, s.reserved = sys, f, path, int64(len(data))
	wiped := r.seg.off
	if r.torn != nil {
		wiped = s.reserved
	}
	err = inOrder(func() error { return sys.write(f, data[:r.seg.off], 0) }, func() error { return s.zero(r.seg.off, wiped) }, s.sync, s.seal)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &s, nil
}
