package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/arc-ring/arc/discovery"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Status gives the advice that the log gives, for another ring of the cluster and
// for one that was founded again.
func TestStatusSaysWhatToDoAboutTwoRings(t *testing.T) {
	st := &arcv1.StatusResponse{OtherRings: []*arcv1.OtherRing{
		{RingId: "r2", Leader: "b", From: "c", Addresses: []string{"10.0.0.3:7400"}},
		{RingId: "r1", Leader: "d", From: "d", Addresses: []string{"10.0.0.4:7400"}, Split: "recovered from n3"},
	}}
	var out bytes.Buffer
	newFactory().statusTable(&out, st)
	for _, want := range []string{
		"another ring r2 of this cluster, led by b, was heard from c at 10.0.0.3:7400; " + discovery.TwoRingsHint + "\n",
		"another ring has this one's id, led by d (recovered from n3), and was heard from d at 10.0.0.4:7400; " + discovery.TwoRingsHint + "\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status says\n%s\nwant\n%s", out.String(), want)
		}
	}
}

// Only while a secret is replaced there is something to see: which one makes the
// certificates, and which are accepted beside it.
func TestStatusShowsARotation(t *testing.T) {
	for want, secrets := range map[string][]string{
		"": {"11111111"},
		"secrets 22222222 used, 11111111 accepted": {"22222222", "11111111"},
	} {
		var out bytes.Buffer
		newFactory().statusTable(&out, &arcv1.StatusResponse{Secrets: secrets})
		if strings.Contains(out.String(), "11111111") != (want != "") || !strings.Contains(out.String(), want) {
			t.Errorf("with the secrets %v status says\n%s\nwant %q", secrets, out.String(), want)
		}
	}
}
