package service

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
)

// A view may have been made while its leader had proof. Once that is over, the
// refusal does not say "no leader: n2 leads".
func TestARefusalDoesNotNameALeader(t *testing.T) {
	for reason, want := range map[string]string{
		"this node leads, token 7":               "no leader: the lease of this node has just run out; try again",
		"n2 leads, token 7":                      "no leader: the lease of n2 has just run out; try again",
		"no leader known: needs n2":              "no leader: needs n2",
		"no proof that n2 leads: it is too late": "no leader: no proof that n2 leads: it is too late",
	} {
		v := &publish.View{Status: election.Status{Reason: reason}}
		if got := NoLeader(v).Error(); got != want || strings.Contains(got, ", token") {
			t.Errorf("%s: got %q, want %q", reason, got, want)
		}
	}
}

// A leader that dies while a call was forwarded to it is named, and that the
// change may have been made; its own refusals pass as they are.
func TestALeaderThatBreaksOffIsNamed(t *testing.T) {
	err := brokeOff("n2", status.Error(codes.Unavailable, "error reading from server: EOF"))
	if got := status.Convert(err).Message(); status.Code(err) != codes.Unavailable || reason.Of(err) != "" ||
		!strings.HasPrefix(got, "n2, to whom this was forwarded, broke off: ") || !strings.Contains(got, "may or may not") {
		t.Errorf("got %v", err)
	}
	for _, own := range []error{nil, reason.ToStatus(reason.ErrStopping), reason.ToStatus(reason.ErrOverload), context.Canceled} {
		if got := brokeOff("n2", own); !errors.Is(got, own) {
			t.Errorf("%v became %v", own, got)
		}
	}
}
