package queue

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

// FuzzDecode: no message makes Decode panic, and what it takes can be sent on.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, message []byte) {
		l, err := Decode(message)
		if err != nil {
			return
		}
		again, err := encode(l)
		if err != nil {
			t.Fatalf("decoded, but cannot be sent: %v", err)
		}
		other, err := Decode(again)
		if err != nil || !proto.Equal(l, other) {
			t.Fatalf("%v became %v (%v)", l, other, err)
		}
	})
}
