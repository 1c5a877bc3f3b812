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
	if l.GetSeq() == 0 {
		errs = append(errs, errors.New("seq is 0"))
	}
	text := func(what, s string) {
		if len(s) > limits.Address {
			errs = append(errs, fmt.Errorf("%s has %d bytes, at most %d", what, len(s), limits.Address))
		}
	}
	text("cluster", l.GetCluster())
	text("ring_id", l.GetRingId())
	text("ending", l.GetEnding())
	between := func(what string, v, lo, hi uint32) {
		if v < lo || v > hi {
			errs = append(errs, fmt.Errorf("%s = %d is not between %d and %d", what, v, lo, hi))
		}
	}
	between("hang_after_ms", l.GetHangAfterMs(), 0, maxHangMS)
	if len(l.GetSuccessors()) > 0 {
		between("interval_ms", l.GetIntervalMs(), 1, maxIntervalMS)
		between("leader_interval_ms", l.GetLeaderIntervalMs(), 1, maxIntervalMS)
		between("misses", l.GetMisses(), 1, maxMisses)
		between("leader_misses", l.GetLeaderMisses(), 1, maxMisses)
	}
	if n := len(l.GetSuccessors()); n > limits.Successors {
		errs = append(errs, fmt.Errorf("%d successors, at most %d", n, limits.Successors))
	}
	if n := len(l.GetTell()); n > limits.Tell {
		errs = append(errs, fmt.Errorf("%d members to tell, at most %d", n, limits.Tell))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if d := l.GetDetour(); d != nil {
		if err := validTarget(d); err != nil {
			errs = append(errs, fmt.Errorf("detour: %w", err))
		}
		if d.GetId() == l.GetSelf().GetId() || len(l.GetSuccessors()) == 0 {
			errs = append(errs, fmt.Errorf("detour: to id %d, but the monitor's own is %d and it has %d successors", d.GetId(), l.GetSelf().GetId(), len(l.GetSuccessors())))
		}
		if ms := l.GetDetourMs(); ms == 0 || ms > MaxDetourMS {
			errs = append(errs, fmt.Errorf("detour_ms = %d is not between 1 and %d", ms, MaxDetourMS))
		}
	}
	if l.GetSelf().GetId() != 0 {
		text("self.name", l.GetSelf().GetName())
	} else if len(l.GetSuccessors()) > 0 {
		errs = append(errs, errors.New("self.id is 0, but there are successors"))
	}
	for _, list := range []struct {
		name    string
		targets []*localv1.Target
	}{{"successors", l.GetSuccessors()}, {"tell", l.GetTell()}} {
		seen := map[uint64]bool{}
		for i, t := range list.targets {
			if err := validTarget(t); err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %w", list.name, i, err))
			}
			if seen[t.GetId()] {
				errs = append(errs, fmt.Errorf("%s[%d]: id %d is there twice", list.name, i, t.GetId()))
			}
			seen[t.GetId()] = true
		}
		if list.name == "successors" && seen[l.GetSelf().GetId()] {
			errs = append(errs, fmt.Errorf("successors: id %d is the monitor's own", l.GetSelf().GetId()))
		}
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
