package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A record, all numbers little-endian:
//
//	 0  salt      8  the segment's
//	 8  number    8  1, 2, … within the segment
//	16  mark      8  the last record known to be synced when this was written
//	24  length    4  of the payload
//	28  flags     4
//	32  checksum  4  CRC-32C of the payload
//	36  checksum  4  CRC-32C of the 36 bytes before
//	40  payload
//
// The payload is a row of fields: tag (1 byte), length (uvarint), content.
const (
	recordHeaderSize = 40
	// maxPayload bounds a record. The core's batches are far smaller; a
	// length beyond it is damage.
	maxPayload = 64 << 20

	flagSync   = 1 // a sync was asked for before anything else is written
	flagsKnown = flagSync

	tagHardState = 1 // three uvarints: term, vote, commit
	tagEntry     = 2 // raftpb.Entry
	tagSnapshot  = 3 // raftpb.Snapshot; only in a segment's first record
	tagBound     = 4 // uvarint, nanoseconds
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordHeader is all before the header's own checksum, as it lies on the disk.
type recordHeader struct {
	Salt, Number, Mark        uint64
	Length, Flags, PayloadSum uint32
}

var errShort = errors.New("record is cut short")

// decodeRecordHeader believes nothing that its checksum does not cover.
func decodeRecordHeader(b []byte, salt uint64) (recordHeader, error) {
	if len(b) < recordHeaderSize {
		return recordHeader{}, errShort
	}
	var h recordHeader
	n, err := binary.Decode(b, binary.LittleEndian, &h)
	switch {
	case err != nil || binary.LittleEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli):
		return recordHeader{}, errors.New("record header's checksum does not match")
	case h.Salt != salt:
		return recordHeader{}, errors.New("record is of another file")
	case h.Length > maxPayload:
		return recordHeader{}, fmt.Errorf("record is longer than %d bytes", maxPayload)
	case h.Flags&^flagsKnown != 0:
		return recordHeader{}, errors.New("record has unknown flags")
	}
	return h, nil
}

// decodeRecord returns the record at the start of b and its payload, which
// points into b. With an error other than that of the header, the header is
// good.
func decodeRecord(b []byte, salt, number uint64) (recordHeader, []byte, error) {
	h, err := decodeRecordHeader(b, salt)
	if err != nil {
		return recordHeader{}, nil, err
	}
	if h.Number != number {
		return h, nil, fmt.Errorf("record %d where %d is due", h.Number, number)
	}
	if uint64(len(b)-recordHeaderSize) < uint64(h.Length) {
		return h, nil, errShort
	}
	payload := b[recordHeaderSize:][:h.Length]
	if crc32.Checksum(payload, castagnoli) != h.PayloadSum {
		return h, nil, errors.New("record payload's checksum does not match")
	}
	return h, payload, nil
}

// sealRecord fills in the header of a record whose payload was appended to b
// after recordHeaderSize bytes.
func sealRecord(b []byte, salt, number, mark uint64, flags uint32) {
	payload := b[recordHeaderSize:]
	h := recordHeader{salt, number, mark, uint32(len(payload)), flags, crc32.Checksum(payload, castagnoli)}
	n, _ := binary.Encode(b, binary.LittleEndian, &h) // its size is fixed
	binary.LittleEndian.PutUint32(b[n:], crc32.Checksum(b[:n], castagnoli))
}

// appendPayload encodes the fields of b. Reset is not encoded: what it drops
// is left out of the next segment.
func appendPayload(p []byte, b *Batch) ([]byte, error) {
	if h := b.HardState; h != nil {
		var tmp [3 * binary.MaxVarintLen64]byte
		v := binary.AppendUvarint(tmp[:0], h.GetTerm())
		v = binary.AppendUvarint(v, h.GetVote())
		v = binary.AppendUvarint(v, h.GetCommit())
		p = append(p, tagHardState, byte(len(v)))
		p = append(p, v...)
	}
	if b.Bound != 0 {
		var tmp [binary.MaxVarintLen64]byte
		v := binary.AppendUvarint(tmp[:0], uint64(b.Bound))
		p = append(p, tagBound, byte(len(v)))
		p = append(p, v...)
	}
	var err error
	if b.Snapshot != nil {
		if p, err = appendMessage(p, tagSnapshot, b.Snapshot); err != nil {
			return nil, fmt.Errorf("encode snapshot %d: %w", b.Snapshot.GetMetadata().GetIndex(), err)
		}
	}
	for _, e := range b.Entries {
		if p, err = appendMessage(p, tagEntry, e); err != nil {
			return nil, fmt.Errorf("encode entry %d: %w", e.GetIndex(), err)
		}
	}
	return p, nil
}

func appendMessage(p []byte, tag byte, m proto.Message) ([]byte, error) {
	size := proto.Size(m)
	if size > maxPayload {
		return nil, fmt.Errorf("%w: %d bytes, at most %d fit", ErrInvalid, size, maxPayload)
	}
	p = append(p, tag)
	p = binary.AppendUvarint(p, uint64(size))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(p, m)
}

// decodePayload is the inverse of appendPayload. What it returns does not
// point into p.
func decodePayload(p []byte) (Batch, error) {
	var b Batch
	for len(p) > 0 {
		tag := p[0]
		length, n := binary.Uvarint(p[1:])
		if n <= 0 || length > uint64(len(p)-1-n) {
			return Batch{}, fmt.Errorf("field %d exceeds the record", tag)
		}
		v := p[1+n:][:length]
		p = p[1+n+int(length):]
		switch tag {
		case tagHardState:
			var f [3]uint64
			for i := range f {
				x, n := binary.Uvarint(v)
				if n <= 0 {
					return Batch{}, errors.New("hard state is cut short")
				}
				f[i], v = x, v[n:]
			}
			if len(v) > 0 || b.HardState != nil {
				return Batch{}, errors.New("hard state is too long or doubled")
			}
			b.HardState = &raftpb.HardState{Term: &f[0], Vote: &f[1], Commit: &f[2]}
		case tagBound:
			x, n := binary.Uvarint(v)
			if n != len(v) || n <= 0 || x == 0 || x > math.MaxInt64 {
				return Batch{}, errors.New("bound is no duration")
			}
			b.Bound = time.Duration(x)
		case tagSnapshot:
			if b.Snapshot != nil {
				return Batch{}, errors.New("second snapshot")
			}
			b.Snapshot = &raftpb.Snapshot{}
			if err := proto.Unmarshal(v, b.Snapshot); err != nil {
				return Batch{}, fmt.Errorf("snapshot: %w", err)
			}
		case tagEntry:
			e := &raftpb.Entry{}
			if err := proto.Unmarshal(v, e); err != nil {
				return Batch{}, fmt.Errorf("entry: %w", err)
			}
			b.Entries = append(b.Entries, e)
		default:
			return Batch{}, fmt.Errorf("unknown field %d", tag)
		}
	}
	return b, nil
}
