package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// replay is what a segment's bytes say: the segment up to its last good record, without
// the file, and what its records add up to.
type replay struct {
	seg   segment
	state state
	// torn says what is wrong with a tail that was never known to be durable; nil if
	// the file ended cleanly. tornSize leaves out the unused room behind it.
	torn     error
	tornSize int
}

// replaySegment reads a whole segment. Its errors are ErrCorrupt, with the
// offset, and ErrVersion.
func replaySegment(data []byte) (*replay, error) {
	h, n, err := decodeHeader(data)
	if err != nil {
		return nil, err
	}
	r := &replay{seg: segment{header: h, off: int64(n), compactAt: compactMin}}
	for {
		rest := data[r.seg.off:]
		h, payload, err := decodeRecord(rest, r.seg.header.salt, r.seg.record+1)
		if err != nil {
			return r, r.end(rest, err)
		}
		// From here on it is not the disk that erred: the checksum is right.
		b, err := decodePayload(payload)
		if err != nil {
			return nil, &damage{r.seg.off, fmt.Sprintf("record %d: %v", h.Number, err)}
		}
		if b.Snapshot != nil && h.Number != 1 {
			return nil, &damage{r.seg.off, fmt.Sprintf("record %d: a snapshot amid the file", h.Number)}
		}
		if err := r.state.check(&b); err != nil {
			return nil, &damage{r.seg.off, fmt.Sprintf("record %d: %v", h.Number, err)}
		}
		r.state.apply(&b)
		r.seg.record++
		r.seg.sealed = h.Length == 0
		r.seg.off += recordHeaderSize + int64(h.Length)
		if r.seg.record == r.seg.header.base {
			r.seg.compactAt = max(compactMin, 2*r.seg.off)
		}
	}
}

// end decides what it means that no good record is at the start of rest: the
// clean end, a torn tail, or damage to something that was durable.
func (r *replay) end(rest []byte, why error) error {
	used := bytes.TrimRight(rest, "\x00")
	if r.seg.record < r.seg.header.base {
		return &damage{r.seg.off, fmt.Sprintf("record %d of the %d that the file began with: %v", r.seg.record+1, r.seg.header.base, why)}
	}
	if len(used) == 0 {
		return nil
	}
	bad := r.seg.record + 1
	if h, err := decodeRecordHeader(rest, r.seg.header.salt); err == nil && h.Number == bad && h.Flags&flagSync != 0 {
		if end := recordHeaderSize + int(h.Length); end < len(used) {
			return &damage{r.seg.off, fmt.Sprintf("record %d: %v, and it was synced, since %d bytes follow it", bad, why, len(used)-end)}
		}
	}
	salt := binary.LittleEndian.AppendUint64(nil, r.seg.header.salt)
	for at := 0; ; at++ {
		i := bytes.Index(used[at:], salt)
		if i < 0 {
			break
		}
		at += i
		// rest, since a header may end in zeros.
		if h, err := decodeRecordHeader(rest[at:], r.seg.header.salt); err == nil && h.Mark >= bad {
			return &damage{r.seg.off, fmt.Sprintf("record %d: %v, and it was synced, as record %d at offset %d tells",
				bad, why, h.Number, r.seg.off+int64(at))}
		}
	}
	r.torn, r.tornSize = why, len(used)
	return nil
}
