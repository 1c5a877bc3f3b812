package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"testing"
)

// The same statement has the same signature for as long as the keys are the same; one
// by ECDSA would differ each time.
func TestASignatureIsKept(t *testing.T) {
	h := minted("n1", NewSecret())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := *h.keys.Load()
	k.cert = tls.Certificate{Certificate: k.cert.Certificate, PrivateKey: key}
	h.keys.Store(&k)
	sign := func(statement string) []byte {
		_, signature, err := h.Sign([]byte(statement))
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	a := sign("a")
	if !bytes.Equal(a, sign("a")) {
		t.Error("the same statement is signed again")
	}
	if bytes.Equal(a, sign("b")) {
		t.Error("another statement has the signature of the first one")
	}
	sign("a")
	other := *h.keys.Load()
	was := sign("a")
	h.keys.Store(&other) // as a file that was read again makes them
	if bytes.Equal(was, sign("a")) {
		t.Error("other keys have the signature of the former ones")
	}
}
