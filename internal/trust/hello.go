package trust

import (
	"crypto/hmac"
	"crypto/sha256"
)

// TagSize is how many bytes Seal adds to a datagram.
const TagSize = 16

// Seals authenticates datagrams. The zero value has no keys, and accepts nothing.
type Seals struct {
	keys [][]byte // the first one seals
}

func newSeals(secrets []Secret, cluster string) Seals {
	var s Seals
	for _, secret := range secrets {
		s.keys = append(s.keys, secret.derive("hello "+cluster, sha256.Size))
	}
	return s
}

// Empty reports whether there is no key, so that Seal cannot be called.
func (s Seals) Empty() bool { return len(s.keys) == 0 }

// Seal appends the datagram's tag to it: HMAC-SHA-256 (RFC 2104) of its SHA-256, cut
// to TagSize. So one that no key made costs one pass, however many keys there are. The
// opener checks by itself that it is no repetition.
func (s Seals) Seal(datagram []byte) []byte {
	return append(datagram, tag(s.keys[0], sha256.Sum256(datagram))...)
}

// Open returns a sealed datagram without its tag, and false if no key made it.
func (s Seals) Open(sealed []byte) (datagram []byte, ok bool) {
	n := len(sealed) - TagSize
	if n < 0 {
		return nil, false
	}
	digest := sha256.Sum256(sealed[:n])
	for _, key := range s.keys {
		if hmac.Equal(sealed[n:], tag(key, digest)) {
			return sealed[:n], true
		}
	}
	return nil, false
}

func tag(key []byte, digest [sha256.Size]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(digest[:])
	return h.Sum(nil)[:TagSize]
}
