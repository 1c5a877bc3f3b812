package wal

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A bit that flips in a log that was synced is noticed, wherever it is: in the
// header's frame and body, a record's header and payload, the last record, and the
// room behind it. Nothing is changed, and the error says the way out.
func TestAFlippedBitIsNoticedWhereverItIs(t *testing.T) {
	dir, segment, data, mark := lived(t)
	offsets := recordOffsets(t, data)
	end := offsets[len(offsets)-1]
	for at := int64(0); at < int64(len(data)); at++ {
		switch {
		case at > end:
			at = min(at+7919, int64(len(data))-1) // the room behind is all alike
		case at > offsets[1] && at < offsets[len(offsets)-3]:
			at += 6 // and so are the records
		}
		bit := at % 8
		flipped := slices.Clone(data)
		flipped[at] ^= 1 << bit
		writeFile(t, segment, flipped)
		writeFile(t, filepath.Join(dir, endName), mark)
		l, r, err := Open(dir, Options{})
		if at >= end && err == nil {
			// Nothing was there yet: a torn write, and all that was saved is whole.
			if len(r.Entries) != 11 {
				t.Fatalf("bit %d of byte %d, behind the last record: %d entries, want 11", bit, at, len(r.Entries))
			}
			must(t, l.Close())
			continue
		}
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "move the directory "+dir+" away") {
			t.Fatalf("bit %d of byte %d of %d: got %v, want ErrCorrupt and the way out", bit, at, len(data), err)
		}
		if got := readFile(t, segment); string(got) != string(flipped) {
			t.Fatalf("bit %d of byte %d: the file was changed", bit, at)
		}
	}
}

// The file that remembers the end has two slots. A bit that flips in one of them, or
// a file that was cut anywhere, costs what it says, and nothing of the log.
func TestAFlippedBitInTheEndMarkLosesNothing(t *testing.T) {
	dir, segment, data, mark := lived(t)
	for at := range mark {
		for _, spoiled := range [][]byte{mark[:at], append(slices.Clone(mark[:at]), append([]byte{mark[at] ^ 0x10}, mark[at+1:]...)...)} {
			writeFile(t, segment, data)
			writeFile(t, filepath.Join(dir, endName), spoiled)
			l, r := mustOpen(t, dir)
			if len(r.Entries) != 11 || r.HardState.GetCommit() != 11 {
				t.Fatalf("%d bytes of the mark, spoiled at %d: %s", len(spoiled), at, describe(r))
			}
			must(t, l.Close())
		}
	}
}
