package wal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
)

var rewrite = flag.Bool("rewrite", false, "write testdata again")

// FuzzRecord decodes arbitrary bytes as the payload of a record, and as a
// record. What is accepted must come out the same after another round.
func FuzzRecord(f *testing.F) {
	const salt, number = 0x1122334455667788, 7
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, _, err := decodeRecord(p, salt, number); err == nil {
			t.Fatal("bytes without the right salt, number and checksums were taken for a record")
		}
		record := append(make([]byte, recordHeaderSize), p...)
		sealRecord(record, salt, number, 3, flagSync)
		h, payload, err := decodeRecord(append(record, "what follows"...), salt, number)
		if err != nil || h.Mark != 3 || h.Flags != flagSync || !bytes.Equal(payload, p) {
			t.Fatalf("a sealed record was not accepted: %v", err)
		}
		b, err := decodePayload(payload)
		if err != nil {
			return
		}
		var s state
		_ = s.check(&b)
		again, err := appendPayload(nil, &b)
		if err != nil {
			t.Fatal(err)
		}
		b2, err := decodePayload(again)
		if err != nil {
			t.Fatalf("what was encoded was not accepted: %v", err)
		}
		if !sameBatch(b, b2) {
			t.Fatalf("got %+v\nwant %+v", b2, b)
		}
	})
}

func sameBatch(a, b Batch) bool {
	same := proto.Equal(a.HardState, b.HardState) && proto.Equal(a.Snapshot, b.Snapshot) &&
		a.Bound == b.Bound && len(a.Entries) == len(b.Entries)
	for i := range a.Entries {
		same = same && proto.Equal(a.Entries[i], b.Entries[i])
	}
	return same
}

// FuzzSegment replays arbitrary bytes as a file: either it is refused with an
// error that names the reason, or what was read can be written as a base.
func FuzzSegment(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := replaySegment(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("got error %v", err)
			}
			return
		}
		if r.seg.off > int64(len(data)) || r.seg.compactAt > max(compactMin, 2*r.seg.off) || r.seg.record < r.seg.header.base {
			t.Fatalf("read past the end: %+v", r)
		}
		again, err := replaySegment(data[:r.seg.off])
		if err != nil || again.torn != nil || again.seg.record != r.seg.record {
			t.Fatalf("without its tail the file reads otherwise: %+v, error %v", again, err)
		}
	})
}

// memory is a system whose files are one buffer.
type memory struct {
	linux
	b []byte
}

func (m *memory) write(_ *os.File, p []byte, off int64) error {
	m.b = pendingWrite{off: off, p: p}.apply(m.b)
	return nil
}

func (m *memory) reserve(*os.File, int64, int64) error { return nil }

// FuzzReplay makes a segment of which every checksum is right, with payloads
// that are the fuzzer's: a length byte before each. What is accepted must be
// the same when it is written as the base of another segment.
func FuzzReplay(f *testing.F) {
	f.Fuzz(func(t *testing.T, p []byte) {
		h := header{salt: 5, number: 1, identity: testIdentity}
		data := h.encode()
		for number := uint64(1); len(p) > 0; number++ {
			n := min(int(p[0]), len(p)-1)
			record := append(make([]byte, recordHeaderSize), p[1:1+n]...)
			sealRecord(record, h.salt, number, number-1, 0)
			data, p = append(data, record...), p[1+n:]
		}
		r, err := replaySegment(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got error %v", err)
			}
			return
		}
		m := &memory{}
		s := &segment{sys: m, header: h, off: h.size()}
		if err := s.writeBase(&r.state); err != nil {
			t.Fatal(err)
		}
		s.header.base = s.record
		if err := m.write(nil, s.header.encode(), 0); err != nil {
			t.Fatal(err)
		}
		again, err := replaySegment(m.b)
		if err != nil {
			t.Fatalf("what was accepted once was refused: %v", err)
		}
		if got, want := describe(again.state.recovered(testIdentity)), describe(r.state.recovered(testIdentity)); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// TestSeeds keeps the fuzz targets' seeds and the sample of the format.
func TestSeeds(t *testing.T) {
	s := sample(t)
	offsets := recordOffsets(t, s)
	end := offsets[len(offsets)-1]
	seeds := map[string][]byte{
		"FuzzSegment/whole":     s[:end],
		"FuzzSegment/room-left": s[:end+200],
		"FuzzSegment/torn":      s[:end-3],
		"FuzzSegment/flipped":   flipped(s[:end], offsets[2]+44),
		"FuzzSegment/no-record": s[:offsets[0]],
		"FuzzSegment/empty":     nil,
		"FuzzRecord/empty":      nil,
		"FuzzRecord/nonsense":   []byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01 entry of no length"),
		"FuzzRecord/unknown":    {0x7f, 0},
	}
	var all []byte
	for i := range len(offsets) - 1 {
		payload := s[offsets[i]+recordHeaderSize : offsets[i+1]]
		seeds[fmt.Sprintf("FuzzRecord/record-%d", i+1)] = payload
		all = append(append(all, byte(len(payload))), payload...)
	}
	seeds["FuzzReplay/sample"] = all
	seeds["FuzzReplay/empty-records"] = make([]byte, 5)
	for name, data := range seeds {
		path := filepath.Join("testdata", "fuzz", name)
		if *rewrite {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("seed is missing: %v; run with -rewrite", err)
		}
	}
}

// sample is the file of format 1 in testdata, which every later version of
// the program must be able to read, or refuse with ErrVersion.
func sample(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join("testdata", "format-1.log")
	if *rewrite {
		s := tell(t, sampleBatches()...)
		offsets := recordOffsets(t, s.data)
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, s.data[:offsets[len(offsets)-1]+256], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return readFile(t, path)
}

func sampleBatches() []Batch {
	return []Batch{
		{Entries: entries(2, 10, 3), HardState: hard(10, 1, 2), Sync: true},
		{Entries: entries(4, 11, 2), HardState: hard(11, 2, 4), Bound: 50},
		{HardState: hard(11, 2, 5)},
	}
}

func TestReadsTheFirstFormat(t *testing.T) {
	data := sample(t)
	var m model
	m.save(Batch{Snapshot: snapshot(1, 9, "founded"), HardState: hard(9, 0, 1)})
	for _, b := range sampleBatches() {
		m.save(b)
	}
	got, _, err := story{name: segmentName(1)}.reopen(t, t.TempDir(), data)
	if err != nil || got != m.String() {
		t.Fatalf("got %s, error %v\nwant %s", got, err, m.String())
	}
}
