package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/foreign"
)

// Text accepts anything.
func Text(s string) (string, error) { return s, nil }

// NonEmpty accepts anything but nothing.
func NonEmpty(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("must not be empty")
	}
	return s, nil
}

// Name accepts what a member, a cluster or a profile may be called.
func Name(s string) (string, error) { return s, foreign.CheckName("name", s) }

// Bool accepts true and false and their short forms.
func Bool(s string) (bool, error) {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, wrong(s, "neither true nor false")
	}
	return v, nil
}

func wrong(s, what string) error { return fmt.Errorf("%s is %s", foreign.Quote(s), what) }

// Int accepts whole numbers from lo to hi.
func Int(lo, hi int) func(string) (int, error) {
	return func(s string) (int, error) {
		v, err := strconv.Atoi(s)
		if err != nil || v < lo || v > hi {
			return 0, wrong(s, fmt.Sprintf("not a whole number from %d to %d", lo, hi))
		}
		return v, nil
	}
}

// Duration accepts durations from lo up, such as 500ms or 5s.
func Duration(lo time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		v, err := time.ParseDuration(s)
		if err != nil || v < lo {
			return 0, wrong(s, fmt.Sprintf("not a duration of at least %v, such as 500ms or 5s", lo))
		}
		return v, nil
	}
}

// OneOf accepts the listed words.
func OneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", wrong(s, "not one of "+strings.Join(words, ", "))
		}
		return s, nil
	}
}

// ListOf accepts a list separated by commas, with blanks around the items. A text
// without any item is an empty list; an empty item among others is a mistake. All
// bad items are reported.
func ListOf[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) ([]T, error) {
		var out []T
		var bad []string
		gap := false
		if strings.TrimSpace(s) == "" {
			return nil, nil
		}
		for item := range strings.SplitSeq(s, ",") {
			if item = strings.TrimSpace(item); item == "" {
				gap = true
				continue
			}
			v, err := parse(item)
			if err != nil {
				bad = append(bad, err.Error())
			}
			out = append(out, v)
		}
		if gap {
			bad = append(bad, "an item is empty in "+foreign.Quote(s))
		}
		if bad != nil {
			return nil, errors.New(strings.Join(bad, "; "))
		}
		return out, nil
	}
}

// Addr accepts an IP address.
func Addr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, wrong(s, "not an IP address")
	}
	return a.Unmap(), nil
}

// HostPort accepts HOST:PORT with a port from 1 to 65535.
func HostPort(s string) (string, error) {
	err := foreign.CheckAddress(s)
	switch {
	case err == nil:
		return s, nil
	case strings.Count(s, ":") > 1 && s[0] != '[':
		return "", fmt.Errorf("%w: an IPv6 address needs brackets, such as [fd00::5]:7400", err)
	default:
		return "", fmt.Errorf("%w, such as 10.0.0.5:7400", err)
	}
}
