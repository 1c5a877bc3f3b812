package transport

import (
	"testing"
	"time"
)

// TestApartTakesAWhile: a stream that has just broken is not missing yet, and one
// to a distant peer never is.
func TestApartTakesAWhile(t *testing.T) {
	tr := &Transport{peers: map[uint64]*peer{}}
	p := newPeer(tr, listed(2, 0))
	tr.peers[2] = p
	const while = time.Hour
	if tr.Apart(while) {
		t.Error("apart from a peer that was just listed")
	}
	p.missing = time.Now().Add(-while)
	if !tr.Apart(while) {
		t.Error("not apart, although the stream was missing all the while")
	}
	p.info.Distant = true
	if tr.Apart(while) {
		t.Error("apart from a distant peer")
	}
	p.info.Distant = false
	p.paths[0].stands = &outbound{}
	if tr.Apart(0) {
		t.Error("apart, although the stream stands")
	}
}
