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

// Seal appends the datagram's tag to it: HMAC-SHA-256 (RFC 2104), cut to TagSize.
// The opener checks by itself that it is no repetition.
func (s Seals) Seal(datagram []byte) []byte { return append(datagram, tag(s.keys[0], datagram)...) }

// Open returns a sealed datagram without its tag, and false if no key made it.
func (s Seals) Open(sealed []byte) (datagram []byte, ok bool) {
	n := len(sealed) - TagSize
	if n < 0 {
		return nil, false
	}
	for _, key := range s.keys {
		if hmac.Equal(sealed[n:], tag(key, sealed[:n])) {
			return sealed[:n], true
		}
	}
	return nil, false
}

func tag(key, datagram []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(datagram)
	return h.Sum(nil)[:TagSize]
}
