package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loseEnd is what a power cut may do to the file that remembers the end.
func loseEnd(t testing.TB, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, endName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// lived makes a directory with synced records and returns its files.
func lived(t *testing.T) (dir, segment string, data, mark []byte) {
	t.Helper()
	dir = t.TempDir()
	l := mustOpenOn(t, dir, linux{}, Options{})
	if err := l.Init(testIdentity, Batch{Entries: entries(1, 1, 3), HardState: hard(1, 0, 3)}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(8) {
		mustSave(t, l, Batch{Entries: entries(4+i, 1, 1), HardState: hard(1, 0, 4+i), Sync: true})
	}
	must(t, l.Mark())
	abandon(l) // as kill -9 leaves it
	segment = onlySegment(t, dir)
	return dir, segment, readFile(t, segment), readFile(t, filepath.Join(dir, endName))
}

// A log that was synced is refused when it is cut at any byte, in the middle of a
// record, between two, or in the room behind the last one.
func TestShortenedLogIsRefusedAtEveryByte(t *testing.T) {
	dir, segment, data, mark := lived(t)
	offsets := recordOffsets(t, data)
	end := offsets[len(offsets)-1]
	for at := int64(0); at < int64(len(data)); at++ {
		if at > end {
			at = min(at+7919, int64(len(data))-1) // the room behind is all alike
		}
		writeFile(t, segment, data[:at])
		writeFile(t, filepath.Join(dir, endName), mark)
		_, _, err := Open(dir, Options{})
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "move the directory "+dir+" away") {
			t.Fatalf("cut at byte %d of %d: got %v, want ErrCorrupt and the way out", at, len(data), err)
		}
		if got := readFile(t, segment); len(got) != int(at) {
			t.Fatalf("cut at byte %d: the file was changed", at)
		}
	}
}

func TestLogThatIsNotTheNewestIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir, segment string, data []byte){
		"gone": func(_, segment string, _ []byte) { must(t, os.Remove(segment)) },
		"its end is zeroed": func(_, segment string, data []byte) {
			writeFile(t, segment, zeroed(data, recordOffsets(t, data)[5], int64(len(data))))
		},
		"an older file back": func(dir, segment string, data []byte) {
			l := mustOpenOn(t, dir, linux{}, Options{})
			mustSave(t, l, Batch{Snapshot: snapshot(9, 1, "nine")})
			abandon(l)
			must(t, os.Remove(onlySegment(t, dir)))
			writeFile(t, segment, data)
		},
		"another file under the name": func(_, segment string, data []byte) {
			other := t.TempDir()
			l := mustOpenOn(t, other, linux{}, Options{})
			must(t, l.Init(testIdentity, Batch{}))
			abandon(l)
			writeFile(t, segment, readFile(t, onlySegment(t, other)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, segment, data, _ := lived(t)
			spoil(dir, segment, data)
			if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
		})
	}
}

// A stale, torn or missing mark takes nothing away from a log that is whole.
func TestStaleEndIsNoObjection(t *testing.T) {
	dir, segment, data, mark := lived(t)
	for name, m := range map[string][]byte{
		"whole": mark, "missing": nil, "empty": {}, "one slot": mark[:endSlot], "torn": zeroed(mark, 3, 20), "noise": []byte(strings.Repeat("x", 300)),
	} {
		writeFile(t, segment, data)
		loseEnd(t, dir)
		if name != "missing" {
			writeFile(t, filepath.Join(dir, endName), m)
		}
		l, r, err := Open(dir, Options{})
		if err != nil || len(r.Entries) != 11 {
			t.Fatalf("%s: got %d entries, error %v", name, len(r.Entries), err)
		}
		mustSave(t, l, Batch{HardState: hard(2, 0, 5), Sync: true})
		abandon(l)
	}
}

// After a wipe there is nothing to miss.
func TestWipedDirectoryIsFresh(t *testing.T) {
	dir, _, _, _ := lived(t)
	l := mustOpenOn(t, dir, linux{}, Options{})
	must(t, l.Wipe())
	abandon(l)
	_, r, err := Open(dir, Options{})
	if err != nil || !r.Fresh {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("prepare: %w", err))
	}
}
