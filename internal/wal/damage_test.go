package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// story is a killed member's segment and what it held after each record.
type story struct {
	name  string
	data  []byte
	after []string
}

// tell saves the batches to a fresh directory and kills.
func tell(t *testing.T, batches ...Batch) story {
	t.Helper()
	dir := t.TempDir()
	start := Batch{Snapshot: snapshot(1, 9, "founded"), HardState: hard(9, 0, 1)}
	l := mustInit(t, dir, start)
	var m model
	m.save(start)
	s := story{name: segmentName(1), after: []string{"", m.String()}}
	for _, b := range batches {
		mustSave(t, l, b)
		m.save(b)
		s.after = append(s.after, m.String())
	}
	abandon(l)
	s.data = readFile(t, onlySegment(t, dir))
	return s
}

// reopen opens a directory with data as its segment, as after a power cut that
// the file that remembers the end did not survive.
func (s story) reopen(t *testing.T, dir string, data []byte) (got, warned string, err error) {
	t.Helper()
	path := filepath.Join(dir, s.name)
	writeFile(t, path, data)
	loseEnd(t, dir)
	var log bytes.Buffer
	l, r, err := Open(dir, Options{Logger: warnings(&log)})
	if err != nil {
		if !bytes.Equal(readFile(t, path), data) {
			t.Fatalf("the refused file was changed (%v)", err)
		}
		return "", log.String(), err
	}
	// What is there must stay so, also for what is written next.
	term := r.HardState.GetTerm() + 1
	mustSave(t, l, Batch{HardState: hard(term, 0, r.HardState.GetCommit())})
	abandon(l)
	l, again := mustOpen(t, dir)
	if again.HardState.GetTerm() != term || len(again.Entries) != len(r.Entries) {
		t.Fatalf("saved after a repair, then got %s", describe(again))
	}
	abandon(l)
	return describe(r), log.String(), nil
}

func TestTornLastRecordIsCutAtEveryByte(t *testing.T) {
	s := tell(t,
		Batch{Entries: entries(2, 10, 2), HardState: hard(10, 1, 2), Sync: true},
		Batch{Entries: entries(4, 10, 2), HardState: hard(10, 1, 4), Bound: 50, Sync: true})
	offsets := recordOffsets(t, s.data)
	begin, end := offsets[len(offsets)-2], offsets[len(offsets)-1]
	whole, before := s.after[len(s.after)-1], s.after[len(s.after)-2]
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	for at := begin; at < end; at++ {
		for how, damaged := range map[string][]byte{
			"truncated": s.data[:at:at],
			"zeroed":    zeroed(s.data, at, end),
			"flipped":   flipped(s.data, at),
			"garbled":   garbled(s.data, at, end, random),
			"garbled beyond the end": garbled(s.data, at, end+300,
				rand.New(rand.NewPCG(uint64(at), 3))),
			"lost in front": zeroed(s.data, begin, at),
		} {
			got, warned, err := s.reopen(t, dir, damaged)
			if how == "garbled beyond the end" && errors.Is(err, ErrCorrupt) && at >= begin+recordHeaderSize {
				continue // something follows a synced record: that is no tear
			}
			want := before
			if bytes.Equal(damaged, s.data) {
				want = whole
			}
			if err != nil || got != want {
				t.Fatalf("%s at byte %d of the last record (%d bytes): got %s, error %v\nwant %s", how, at-begin, end-begin, got, err, want)
			}
			nothingLeft := at == begin && (how == "truncated" || how == "zeroed")
			if cut := want == before && !nothingLeft; cut != strings.Contains(warned, "torn end of the log cut off") {
				t.Fatalf("%s at byte %d: warned %q, want a warning: %t", how, at-begin, warned, cut)
			}
		}
	}
}

func TestDamageBeforeTheEndIsRefusedAtEveryByte(t *testing.T) {
	s := tell(t,
		Batch{Entries: entries(2, 10, 2), HardState: hard(10, 1, 2), Sync: true},
		Batch{Entries: entries(4, 10, 1)},
		Batch{Entries: entries(5, 10, 1), Sync: true},
		Batch{HardState: hard(10, 1, 5)})
	offsets := recordOffsets(t, s.data)
	last := offsets[len(offsets)-2]
	dir := t.TempDir()
	for at := range last {
		_, _, err := s.reopen(t, dir, flipped(s.data, at))
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d flipped, records at %v: got error %v, want %v", at, offsets, err, ErrCorrupt)
		}
		for _, part := range []string{filepath.Join(dir, s.name), "offset ", "move the directory " + dir + " away", "rejoins"} {
			if !strings.Contains(err.Error(), part) {
				t.Fatalf("the error does not say %q: %v", part, err)
			}
		}
	}
	// The base was whole when the file got its name.
	for at := range offsets[1] {
		if _, _, err := s.reopen(t, dir, s.data[:at]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at byte %d: got error %v, want %v", at, err, ErrCorrupt)
		}
	}
}

func TestDamageAmidUnsyncedRecordsIsATear(t *testing.T) {
	s := tell(t,
		Batch{Entries: entries(2, 10, 2), Sync: true},
		Batch{Entries: entries(4, 10, 1)},
		Batch{Entries: entries(5, 10, 1)},
		Batch{Entries: entries(6, 10, 1), Sync: true})
	// The power went while the last Save synced: any of the last three may be
	// missing, though a later one is there.
	offsets := recordOffsets(t, s.data)
	dir := t.TempDir()
	for i := 2; i < 5; i++ {
		for how, damaged := range map[string][]byte{
			"flipped": flipped(s.data, offsets[i]+20), "payload flipped": flipped(s.data, offsets[i]+45),
			"zeroed": zeroed(s.data, offsets[i], offsets[i+1]),
		} {
			got, warned, err := s.reopen(t, dir, damaged)
			if err != nil || got != s.after[i] {
				t.Fatalf("record %d %s: got %s, error %v, want %s", i+1, how, got, err, s.after[i])
			}
			cleanEnd := i == 4 && how == "zeroed"
			if strings.Contains(warned, "torn") == cleanEnd {
				t.Fatalf("record %d %s: warned %q", i+1, how, warned)
			}
		}
	}
}

func TestCutRecordsNeverComeBack(t *testing.T) {
	s := tell(t,
		Batch{Entries: entries(2, 10, 2), Sync: true},
		Batch{Entries: entriesOf(4, 11, "lost")},
		Batch{Entries: entriesOf(5, 11, "old")},
		Batch{Entries: entriesOf(6, 11, "old, and the number that is due after the new one")})
	offsets := recordOffsets(t, s.data)
	dir := t.TempDir()
	loseEnd(t, dir)
	writeFile(t, filepath.Join(dir, s.name), zeroed(s.data, offsets[2], offsets[3]))
	l, r := mustOpen(t, dir)
	if describe(r) != s.after[2] {
		t.Fatalf("got %s, want %s", describe(r), s.after[2])
	}
	// Open's own record, then one of any length, so that one of them ends
	// where an old one starts.
	abandon(l)
	for length := range 60 {
		loseEnd(t, dir)
		writeFile(t, filepath.Join(dir, s.name), zeroed(s.data, offsets[2], offsets[3]))
		l, _ := mustOpen(t, dir)
		mustSave(t, l, Batch{Entries: entriesOf(4, 12, strings.Repeat("n", length))})
		abandon(l)
		l, r := mustOpen(t, dir)
		if len(r.Entries) != 3 || r.Entries[2].GetTerm() != 12 {
			t.Fatalf("new entry of %d bytes: got %s", length, describe(r))
		}
		abandon(l)
	}
}

func TestDamageToASyncedRecordIsRefused(t *testing.T) {
	base := []Batch{
		{Entries: entries(2, 10, 2), Sync: true},
		{Entries: entries(4, 10, 1), Sync: true},
	}
	s := tell(t, base...)
	offsets := recordOffsets(t, s.data)
	at, end := offsets[2], offsets[3]
	follower := func(mark uint64) []byte {
		h, _, err := decodeHeader(s.data)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, recordHeaderSize)
		sealRecord(b, h.salt, 4, mark, 0)
		return b
	}
	put := func(data []byte, off int64, b []byte) []byte {
		data = bytes.Clone(data)
		copy(data[off:], b)
		return data
	}
	for name, tt := range map[string]struct {
		data    []byte
		refused bool
	}{
		"payload bad, nothing follows":               {flipped(s.data, end-1), false},
		"payload bad, junk follows":                  {put(flipped(s.data, end-1), end+7, []byte{1}), true},
		"header bad, junk follows":                   {put(flipped(s.data, at), end+7, []byte{1}), false},
		"header bad, a record follows that knows it": {put(flipped(s.data, at), end, follower(3)), true},
		"header bad, such a record further behind":   {put(flipped(s.data, at), end+999, follower(3)), true},
		"header bad, a record that knows it not":     {put(flipped(s.data, at), end, follower(2)), false},
		"lost, a record follows that knows it":       {put(zeroed(s.data, at, end), end, follower(3)), true},
		"whole, junk follows":                        {put(s.data, end+7, []byte{1}), false},
	} {
		_, _, err := s.reopen(t, t.TempDir(), tt.data)
		if refused := errors.Is(err, ErrCorrupt); refused != tt.refused || (err != nil && !refused) {
			t.Errorf("%s: got error %v, want refused: %t", name, err, tt.refused)
		}
	}
}

func TestCloseAndOpenProveTheLastRecord(t *testing.T) {
	for _, end := range []string{"close", "open and kill"} {
		dir := t.TempDir()
		l := mustInit(t, dir, Batch{})
		mustSave(t, l, Batch{HardState: hard(4, 2, 0)})
		if end == "close" {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			abandon(l)
			l, _ = mustOpen(t, dir)
			abandon(l)
		}
		path := onlySegment(t, dir)
		data := readFile(t, path)
		offsets := recordOffsets(t, data)
		writeFile(t, path, flipped(data, offsets[len(offsets)-2]-1))
		if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s, then the last batch rots: got error %v, want %v", end, err, ErrCorrupt)
		}
	}
}

func TestReopeningDoesNotGrowTheLog(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{})
	mustSave(t, l, Batch{HardState: hard(4, 2, 0)})
	abandon(l)
	var sizes []int
	for range 5 {
		l, _ = mustOpen(t, dir)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(recordOffsets(t, readFile(t, onlySegment(t, dir)))))
	}
	if sizes[0] != sizes[4] {
		t.Fatalf("records after each reopening: %v", sizes)
	}
}

func TestOldBytesNeverCount(t *testing.T) {
	// The rest of a reused file: whole records, right numbers, another salt.
	old := tell(t, Batch{Entries: entries(2, 7, 3), Sync: true}, Batch{Entries: entries(5, 7, 3), Sync: true})
	s := tell(t, Batch{Entries: entries(2, 10, 3), Sync: true})
	oldOffsets, offsets := recordOffsets(t, old.data), recordOffsets(t, s.data)
	data := bytes.Clone(s.data)
	copy(data[offsets[2]:], old.data[oldOffsets[2]:oldOffsets[3]])
	got, _, err := s.reopen(t, t.TempDir(), data)
	if err != nil || got != s.after[2] {
		t.Fatalf("got %s, error %v, want %s", got, err, s.after[2])
	}
	// An earlier record of the same file: a vote that was since cast again.
	s = tell(t, Batch{HardState: hard(10, 1, 1), Sync: true}, Batch{HardState: hard(11, 2, 1), Sync: true},
		Batch{HardState: hard(11, 3, 1), Sync: true})
	offsets = recordOffsets(t, s.data)
	data = bytes.Clone(s.data)
	copy(data[offsets[4]:], s.data[offsets[2]:offsets[3]])
	s.after[2] = s.after[4]
	if got, _, err = s.reopen(t, t.TempDir(), data); err != nil || got != s.after[2] {
		t.Fatalf("got %s, error %v, want %s", got, err, s.after[2])
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	s := tell(t, Batch{HardState: hard(10, 0, 1)})
	newer := bytes.Clone(s.data)
	newer[8] = formatVersion + 1
	length := binary.LittleEndian.Uint32(newer[12:])
	binary.LittleEndian.PutUint32(newer[headerFrame+length:], crc32.Checksum(newer[:headerFrame+length], castagnoli))
	misplaced := s
	misplaced.name = segmentName(12)
	for name, tt := range map[string]struct {
		story
		data []byte
		want error
	}{
		"newer format":        {s, newer, ErrVersion},
		"empty":               {s, nil, ErrCorrupt},
		"text":                {s, []byte("hello, I am a log, or am I?"), ErrCorrupt},
		"under a wrong name":  {misplaced, s.data, ErrCorrupt},
		"all zeros":           {s, make([]byte, 4096), ErrCorrupt},
		"header without base": {s, s.data[:recordOffsets(t, s.data)[0]], ErrCorrupt},
	} {
		if _, _, err := tt.reopen(t, t.TempDir(), tt.data); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", name, err, tt.want)
		}
	}
}

func TestWellSummedNonsenseIsRefused(t *testing.T) {
	s := tell(t)
	h, _, err := decodeHeader(s.data)
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string][]byte{
		"unknown field":       {9, 0},
		"field too long":      {tagEntry, 200, 1},
		"entry of nonsense":   {tagEntry, 2, 0xff, 0xff},
		"short hard state":    {tagHardState, 1, 5},
		"long hard state":     {tagHardState, 4, 9, 0, 1, 0},
		"two hard states":     {tagHardState, 3, 9, 0, 1, tagHardState, 3, 9, 0, 1},
		"zero bound":          {tagBound, 1, 0},
		"snapshot amid":       {tagSnapshot, 0},
		"commit beyond":       {tagHardState, 3, 9, 0, 7},
		"entry without index": {tagEntry, 0},
	} {
		offsets := recordOffsets(t, s.data)
		record := append(make([]byte, recordHeaderSize), payload...)
		sealRecord(record, h.salt, uint64(len(offsets)), 1, 0)
		data := append(bytes.Clone(s.data[:offsets[len(offsets)-1]]), record...)
		if _, _, err := s.reopen(t, t.TempDir(), data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got error %v, want %v", name, err, ErrCorrupt)
		}
	}
}

func zeroed(data []byte, from, to int64) []byte {
	data = bytes.Clone(data)
	clear(data[from:to])
	return data
}

func flipped(data []byte, at int64) []byte {
	data = bytes.Clone(data)
	data[at] ^= 0x55
	return data
}

func garbled(data []byte, from, to int64, random *rand.Rand) []byte {
	data = bytes.Clone(data)
	for i := from; i < to; i++ {
		data[i] = byte(random.Uint32())
	}
	return data
}
