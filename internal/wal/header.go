package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment's header, all numbers little-endian. The frame around the body
// (magic, version, length, checksum) stays the same in every version.
//
//	 0  magic    8
//	 8  version  4
//	12  length   4  of the body
//	16  body        salt 8, number 8, base 8, id 8; cluster, ring id, name,
//	                each as length (uvarint) and bytes
//	 …  checksum 4  CRC-32C of all before
const (
	// headerMagic ends in CR LF, which transfers as text would not leave alone.
	headerMagic    = "ARCWAL\r\n"
	headerFrame    = 16
	maxHeaderBody  = 64 << 10
	formatVersion  = 1
	headerBodyBase = 32
)

type header struct {
	salt, number uint64
	// base is how many records were synced before the file got its name.
	base     uint64
	identity Identity
}

// size of the encoded header; it does not depend on base.
func (h *header) size() int64 { return int64(len(h.encode())) }

func (h *header) encode() []byte {
	body := make([]byte, 0, 256)
	for _, v := range []uint64{h.salt, h.number, h.base, h.identity.ID} {
		body = binary.LittleEndian.AppendUint64(body, v)
	}
	for _, s := range []string{h.identity.Cluster, h.identity.RingID, h.identity.Name} {
		body = binary.AppendUvarint(body, uint64(len(s)))
		body = append(body, s...)
	}
	b := append(make([]byte, 0, headerFrame+len(body)+4), headerMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHeader returns the header at the start of b and its size.
func decodeHeader(b []byte) (header, int, error) {
	if len(b) < headerFrame || string(b[:len(headerMagic)]) != headerMagic {
		return header{}, 0, &damage{why: "the file does not begin as a log does"}
	}
	version, length := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	if length > maxHeaderBody || len(b) < headerFrame+int(length)+4 {
		return header{}, 0, &damage{why: "the file header is cut short"}
	}
	end := headerFrame + int(length)
	if binary.LittleEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return header{}, 0, &damage{why: "the file header's checksum does not match"}
	}
	if version != formatVersion {
		return header{}, 0, fmt.Errorf("%w %d, this program knows %d: start the program that wrote it, "+
			"or move the directory away and let the node rejoin", ErrVersion, version, formatVersion)
	}
	body := b[headerFrame:end]
	if len(body) < headerBodyBase {
		return header{}, 0, &damage{why: "the file header is too short"}
	}
	v := func(off int) uint64 { return binary.LittleEndian.Uint64(body[off:]) }
	h := header{salt: v(0), number: v(8), base: v(16), identity: Identity{ID: v(24)}}
	body = body[headerBodyBase:]
	for _, s := range []*string{&h.identity.Cluster, &h.identity.RingID, &h.identity.Name} {
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return header{}, 0, &damage{why: "the file header's identity is cut short"}
		}
		*s, body = string(body[n:][:length]), body[n+int(length):]
	}
	return h, end + 4, nil
}

func (id Identity) validate(o Options) error {
	if n := len(id.Cluster) + len(id.RingID) + len(id.Name); n > maxHeaderBody/2 {
		return fmt.Errorf("%w: cluster, ring id and name have %d bytes, at most %d fit", ErrInvalid, n, maxHeaderBody/2)
	}
	if !id.is(o.Cluster, o.Name) {
		return fmt.Errorf("%w: node %q of cluster %q in a directory opened for node %q of cluster %q",
			ErrInvalid, id.Name, id.Cluster, o.Name, o.Cluster)
	}
	return nil
}

// is compares with what is wished; an empty wish is not compared.
func (id Identity) is(cluster, name string) bool {
	return (cluster == "" || cluster == id.Cluster) && (name == "" || name == id.Name)
}

// belongs says why a directory of id is not the one of cluster and name.
func (id Identity) belongs(dir, cluster, name string) error {
	if id.is(cluster, name) {
		return nil
	}
	return fmt.Errorf("%w: %s holds node %q (id %d) of cluster %q, this is node %q of cluster %q; "+
		"give --name %s and --cluster %s to start it again; else move the directory away, or choose another --data-dir",
		ErrForeign, dir, id.Name, id.ID, id.Cluster, name, cluster, id.Name, id.Cluster)
}
