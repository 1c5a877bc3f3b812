package wal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/plainfile"
)

// Options of a Log.
type Options struct {
	// Cluster and Name are who this node is; a directory of another one is
	// refused. Empty ones are not compared.
	Cluster, Name string
	// Logger may be nil.
	Logger hclog.Logger
}

// Log is an open data directory.
type Log struct {
	dir string
	o   Options
	sys system

	mu       sync.Mutex
	dirFile  *os.File
	lock     *os.File
	identity Identity
	state    state
	// seg is nil while there is no ring; number is the newest segment's.
	seg    *segment
	number uint64
	// endFile remembers, outside the segment, how far that is durable.
	endFile *os.File
	mark    endMark
	closed  bool
	// err is the first error that left the files in doubt.
	err error
}

// Open takes the directory for this process, makes it (mode 0700) if it is
// missing, and reads what it holds. Nothing is changed if the content is
// refused. What is returned is durable. Errors wrap ErrLocked, ErrForeign,
// ErrCorrupt, ErrVersion or that of the system.
func Open(dir string, o Options) (*Log, Recovered, error) {
	return open(dir, o, linux{})
}

func open(dir string, o Options, sys system) (_ *Log, _ Recovered, err error) {
	o.Logger = cmp.Or(o.Logger, hclog.NewNullLogger())
	l := &Log{dir: filepath.Clean(dir), o: o, sys: sys}
	defer func() {
		if err != nil {
			l.release()
		}
	}()
	if err := makeDir(l.dir); err != nil {
		return nil, Recovered{}, fmt.Errorf("make data directory: %w", adviseMaking(l.dir, err))
	}
	if l.dirFile, err = plainfile.OpenDir(l.dir); err != nil {
		return nil, Recovered{}, fmt.Errorf("open data directory: %w", advise(l.dir, err))
	}
	if l.lock, err = lockDir(l.dirFile); err != nil {
		return nil, Recovered{}, advise(l.dir, err)
	}
	if err := l.load(); err != nil {
		return nil, Recovered{}, err
	}
	if l.seg == nil {
		return l, Recovered{Fresh: true}, nil
	}
	return l, l.state.recovered(l.identity), nil
}

// makeDir makes dir, and its name durable.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return plainfile.SyncDir(filepath.Dir(dir))
}

// load reads the newest segment and takes it up.
func (l *Log) load() error {
	numbers, _, err := segments(l.dir)
	if err != nil {
		return l.failure("list data directory", err)
	}
	if l.mark, err = readEnd(l.dir); err != nil {
		return l.failure("read log", err)
	}
	if len(numbers) == 0 {
		if l.mark.number != 0 {
			lost := &damage{why: fmt.Sprintf("the file is gone, and record %d of it had been written safely", l.mark.record)}
			return corruptError(l.dir, filepath.Join(l.dir, segmentName(l.mark.number)), lost)
		}
		return l.failure("tidy data directory", l.dropOthers())
	}
	number := numbers[len(numbers)-1]
	path := filepath.Join(l.dir, segmentName(number))
	data, err := plainfile.ReadFile(path, segmentMost)
	if err != nil {
		return l.failure("read log", err)
	}
	r, err := replaySegment(data)
	if err == nil && r.seg.header.number != number {
		err = &damage{why: fmt.Sprintf("the file is number %d under the name of %d", r.seg.header.number, number)}
	}
	if err == nil {
		err = l.mark.contradicts(number, r, int64(len(data)))
	}
	switch {
	case errors.Is(err, ErrCorrupt):
		return corruptError(l.dir, path, err)
	case err != nil:
		return fmt.Errorf("read log %s: %w", path, err)
	}
	if err := r.seg.header.identity.belongs(l.dir, l.o.Cluster, l.o.Name); err != nil {
		return err
	}
	if r.torn != nil {
		l.o.Logger.Warn("torn end of the log cut off, as after a power cut", "file", path, "offset", r.seg.off,
			"bytes", r.tornSize, "records-kept", r.seg.record, "reason", r.torn)
	}
	if l.seg, err = reopen(l.sys, path, data, r); err != nil {
		return l.failure("take up log", err)
	}
	l.number, l.identity, l.state = number, r.seg.header.identity, r.state
	// Its name may be as new as the process that died, too.
	if err := l.sys.syncDir(l.dirFile); err != nil {
		return l.failure("take up log", err)
	}
	if err := l.dropOthers(); err != nil {
		return l.failure("tidy data directory", err)
	}
	return l.failure("take up log", l.markEnd())
}

// dropOthers removes what earlier runs left: unfinished segments, and those
// before the newest, the oldest first, so that never an older one than that is
// left alone.
func (l *Log) dropOthers() error {
	numbers, temps, err := segments(l.dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n < l.number {
			temps = append(temps, filepath.Join(l.dir, segmentName(n)))
		}
	}
	for _, path := range temps {
		if err := l.sys.remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Init makes the first content of a directory that is fresh or was wiped, and
// returns when it is durable.
func (l *Log) Init(id Identity, b Batch) error {
	return l.guarded(func() error { return l.beginLocked(false, id, &b, fmt.Sprintf("initialize data directory %s", l.dir)) })
}

// Refound replaces all that the directory holds by b, under another identity, and
// returns when that is durable. After a crash it is either wholly there or not
// at all.
func (l *Log) Refound(id Identity, b Batch) error {
	return l.guarded(func() error {
		return l.beginLocked(true, id, &b, fmt.Sprintf("found the ring in data directory %s again", l.dir))
	})
}

// beginLocked makes b all that the directory holds. Whether it holds a ring before
// has to be as expected.
func (l *Log) beginLocked(holds bool, id Identity, b *Batch, what string) error {
	err := errors.Join(id.validate(l.o), (&state{}).check(b))
	switch {
	case l.seg == nil && holds:
		err = ErrFresh
	case l.seg != nil && !holds:
		err = fmt.Errorf("%w %s of node %q (id %d)", ErrNotFresh, l.identity.RingID, l.identity.Name, l.identity.ID)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	l.identity, l.state = id, state{}
	return l.next(b)
}

// Save writes b. If it returns nil, b is durable if b.Sync (or if it has a
// Snapshot or Reset), else written: only a crash of the machine can lose it,
// with all that came after it. With ErrInvalid nothing has changed; any other
// error is final, and whether b is found again is open.
func (l *Log) Save(b Batch) error {
	return l.guarded(func() error { return l.saveLocked(&b) })
}

func (l *Log) saveLocked(b *Batch) error {
	if l.seg == nil {
		return fmt.Errorf("save to data directory %s: %w", l.dir, ErrFresh)
	}
	if err := l.state.check(b); err != nil {
		return fmt.Errorf("save to log %s: %w", l.seg.path, err)
	}
	if b.Snapshot != nil || b.Reset {
		return l.next(b)
	}
	if b.HardState != nil || len(b.Entries) > 0 || b.Bound != 0 {
		if err := l.seg.encode(b); err != nil {
			return fmt.Errorf("save to log %s: %w", l.seg.path, err)
		}
		if l.seg.off+int64(len(l.seg.buf)) > l.seg.compactAt {
			return l.next(b)
		}
		if err := l.seg.flush(); err != nil {
			return l.fail("write log", err)
		}
		l.state.apply(b)
	}
	if b.Sync && l.seg.synced != l.seg.record {
		return l.fail("sync log", inOrder(l.seg.sync, l.seg.whole))
	}
	return nil
}

// Mark writes down, outside the log, how far it is durable, so that a log that
// is shortened later is refused. Save leaves that to its caller, who has time for
// it once nobody waits: it would make the next sync of a real disk half as long again.
func (l *Log) Mark() error {
	return l.guarded(func() error {
		if l.seg == nil || l.mark.number == l.number && l.mark.record == l.seg.synced {
			return nil
		}
		return l.fail("write log", l.markEnd())
	})
}

// Check reports, by an error, that the directory or the log in it was removed,
// moved, replaced or shortened while it was open: what is saved would not be
// found by the next Open. The error is final.
func (l *Log) Check() error {
	return l.guarded(func() error {
		if err := sameFile(l.dirFile, l.dir); err != nil || l.seg == nil {
			return l.fail("look at data directory", err)
		}
		return l.fail("look at log", inOrder(func() error { return sameFile(l.seg.f, l.seg.path) }, l.seg.whole))
	})
}

// sameFile reports, by an error, that f is no longer what is at the path.
func sameFile(f *os.File, path string) error {
	ours, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: %s is not there any more", ErrRemoved, path)
	case err != nil:
		return nil // nothing is known, as when the limit of open files is reached
	case !os.SameFile(ours, there):
		return fmt.Errorf("%w: something else is at %s now", ErrRemoved, path)
	}
	return nil
}

// next applies b and starts a segment with the result as its base.
func (l *Log) next(b *Batch) error {
	l.state.apply(b)
	seg, err := newSegment(l.sys, l.dirFile, l.number+1, l.identity, &l.state)
	if errors.Is(err, os.ErrNotExist) && l.seg != nil {
		err = fmt.Errorf("%w: %w", ErrRemoved, err)
	}
	if err != nil {
		return l.fail("start log segment", err)
	}
	if l.seg != nil {
		_ = l.seg.f.Close() // what it held is in the new one
	}
	l.seg, l.number = seg, seg.header.number
	if err := l.markEnd(); err != nil {
		return l.fail("start log segment", err)
	}
	if err := l.dropOthers(); err != nil {
		// Open, or the next segment, tries again.
		l.o.Logger.Warn("old log segment not removed", "file", l.dir, "error", err)
	}
	return nil
}

// Close makes everything durable and gives the directory back. A second Close
// does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if l.err == nil && l.seg != nil && !l.seg.sealed {
		if l.fail("sync log", l.seg.sync()) == nil {
			_ = l.fail("write log", inOrder(l.markEnd, l.seg.seal))
		}
	}
	l.closed = true
	l.release()
	return l.err
}

// guarded calls do under the lock, while the log can be used.
func (l *Log) guarded(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return l.err
	case l.closed:
		return fmt.Errorf("data directory %s: %w", l.dir, ErrClosed)
	}
	return do()
}

// failure returns an error that says what failed and what to do, nil if err is nil.
func (l *Log) failure(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, advise(l.dir, err))
}

// fail poisons the log, unless err is nil.
func (l *Log) fail(what string, err error) error {
	l.err = l.failure(what, err)
	return l.err
}

// release gives back what the system gave. Nothing that matters can fail: what
// had to be synced was.
func (l *Log) release() {
	if l.seg != nil {
		_ = l.seg.f.Close()
	}
	for _, f := range []*os.File{l.dirFile, l.lock, l.endFile} {
		_ = f.Close() // which may be nil
	}
}
