package trust

import (
	"bytes"
	"testing"
)

func TestSeals(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	seals := newSeals([]Secret{a}, "c")
	sealed := seals.Seal([]byte("hello"))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, ok := seals.Open(bad); ok {
			t.Errorf("a change of byte %d was not seen", i)
		}
	}
	for name, other := range map[string]Seals{"another secret": newSeals([]Secret{b}, "c"), "another cluster": newSeals([]Secret{a}, "d"), "no secret": {}} {
		if _, ok := other.Open(sealed); ok {
			t.Errorf("%s opens it", name)
		}
	}
	for n := range TagSize {
		if _, ok := seals.Open(make([]byte, n)); ok {
			t.Errorf("%d bytes were opened", n)
		}
	}
}
