package queue

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

const (
	// MaxDetourMS bounds how long a monitor looks away from its successor.
	MaxDetourMS = 60_000

	maxIntervalMS = 60_000
	maxMisses     = 100
	maxHangMS     = 3_600_000
)

// encode marshals a link, cut to its nearest limits.Successors, or says why the
// monitor would refuse it.
func encode(l *localv1.Link) ([]byte, error) {
	b, err := proto.Marshal(l)
	if err = errors.Join(validate(l), err); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadLink, err)
	}
	return b, bounded(b)
}

func bounded(message []byte) error {
	if len(message) > limits.QueueMessage {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(message), limits.QueueMessage)
	}
	return nil
}

// Decode returns the link in a message of the queue. Its errors wrap ErrBadLink
// or ErrTooLarge and name the bad value.
func Decode(message []byte) (*localv1.Link, error) {
	if err := bounded(message); err != nil {
		return nil, err
	}
	l := &localv1.Link{}
	err := proto.Unmarshal(message, l)
	if err == nil {
		err = validate(l)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadLink, err)
	}
	return l, nil
}

func validate(l *localv1.Link) error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	text := func(what, s string) {
		bad(len(s) > limits.Address, "%s has %d bytes, at most %d", what, len(s), limits.Address)
	}
	between := func(what string, v, lo, hi uint32) {
		bad(v < lo || v > hi, "%s = %d is not between %d and %d", what, v, lo, hi)
	}
	self, successors := l.GetSelf(), len(l.GetSuccessors())
	bad(l.GetSeq() == 0, "seq is 0")
	text("cluster", l.GetCluster())
	text("ring_id", l.GetRingId())
	text("ending", l.GetEnding())
	between("hang_after_ms", l.GetHangAfterMs(), 0, maxHangMS)
	if successors > 0 {
		between("interval_ms", l.GetIntervalMs(), 1, maxIntervalMS)
		between("leader_interval_ms", l.GetLeaderIntervalMs(), 1, maxIntervalMS)
		between("misses", l.GetMisses(), 1, maxMisses)
		between("leader_misses", l.GetLeaderMisses(), 1, maxMisses)
	}
	bad(successors > limits.Successors, "%d successors, at most %d", successors, limits.Successors)
	bad(len(l.GetTell()) > limits.Tell, "%d members to tell, at most %d", len(l.GetTell()), limits.Tell)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if d := l.GetDetour(); d != nil {
		err := validTarget(d)
		bad(err != nil, "detour: %w", err)
		bad(d.GetId() == self.GetId() || successors == 0,
			"detour: to id %d, but the monitor's own is %d and it has %d successors", d.GetId(), self.GetId(), successors)
		ms := l.GetDetourMs()
		bad(ms == 0 || ms > MaxDetourMS, "detour_ms = %d is not between 1 and %d", ms, MaxDetourMS)
	}
	if self.GetId() != 0 {
		text("self.name", self.GetName())
	}
	bad(self.GetId() == 0 && successors > 0, "self.id is 0, but there are successors")
	for _, list := range []struct {
		name    string
		targets []*localv1.Target
	}{{"successors", l.GetSuccessors()}, {"tell", l.GetTell()}} {
		seen := map[uint64]bool{}
		for i, t := range list.targets {
			err := validTarget(t)
			bad(err != nil, "%s[%d]: %w", list.name, i, err)
			bad(seen[t.GetId()], "%s[%d]: id %d is there twice", list.name, i, t.GetId())
			seen[t.GetId()] = true
		}
		bad(list.name == "successors" && seen[self.GetId()], "successors: id %d is the monitor's own", self.GetId())
	}
	return errors.Join(errs...)
}

func validTarget(t *localv1.Target) error {
	if t.GetId() == 0 {
		return errors.New("id is 0")
	}
	if len(t.GetName()) > limits.Address {
		return fmt.Errorf("name has %d bytes, at most %d", len(t.GetName()), limits.Address)
	}
	if n := len(t.GetAddresses()); n == 0 || n > limits.Addresses {
		return fmt.Errorf("%d addresses, want 1 to %d", n, limits.Addresses)
	}
	for _, a := range t.GetAddresses() {
		if err := validAddress(a); err != nil {
			return fmt.Errorf("address %.64q: %w", a, err)
		}
	}
	return nil
}

func validAddress(a string) error {
	if len(a) > limits.Address {
		return fmt.Errorf("has %d bytes, at most %d", len(a), limits.Address)
	}
	if path, ok := strings.CutPrefix(a, "unix://"); ok {
		if !strings.HasPrefix(path, "/") {
			return errors.New("is no absolute path")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return err
	}
	if host == "" || port == "" {
		return errors.New("want HOST:PORT")
	}
	return nil
}
