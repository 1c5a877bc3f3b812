package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/ring"
)

// mergeSettings returns cur with the changes made: `profile` first, which sets
// every timing, then the single values. The profile's name stays only while
// every value that a profile sets is the profile's; else it is "custom". All
// that is wrong with the changes and with their result is reported at once.
func mergeSettings(cur ring.Settings, changes map[string]string) (ring.Settings, error) {
	if len(changes) == 0 {
		return cur, reason.Usagef("no setting to change; the keys are %s", strings.Join(settingKeys(), " "))
	}
	next := cur
	var errs []error
	if name, ok := changes["profile"]; ok {
		p, err := ring.ProfileSettings(name)
		if err != nil {
			errs = append(errs, err)
		} else {
			// These describe the machines, the ring's size and its memory, not
			// how long silence is tolerated.
			p.DriftPPM, p.MaxVoters, p.ForgetAfterS = cur.DriftPPM, cur.MaxVoters, cur.ForgetAfterS
			next = p
		}
	}
	values := settingValues(next)
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if key == "profile" {
			continue
		}
		if _, known := values[key]; !known {
			errs = append(errs, fmt.Errorf("unknown setting %s; the keys are %s", foreign.Quote(key), strings.Join(settingKeys(), " ")))
			continue
		}
		v, err := parseSetting(key, changes[key], values[key])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		values[key] = v
	}
	next = fromValues(values)
	if next.Profile != ring.CustomProfile && !isProfile(next) {
		next.Profile = ring.CustomProfile
	}
	if err := next.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return cur, fmt.Errorf("%w: %w", ring.ErrInvalid, err)
	}
	return next, nil
}

// isProfile reports whether s has exactly the timings of the profile it names.
func isProfile(s ring.Settings) bool {
	p, err := ring.ProfileSettings(s.Profile)
	if err != nil {
		return false
	}
	p.DriftPPM, p.MaxVoters, p.ForgetAfterS = s.DriftPPM, s.MaxVoters, s.ForgetAfterS
	return s == p
}

// settingKeys are the keys of `arc config set`, the JSON names of
// ring.Settings, in its order.
func settingKeys() []string {
	return []string{"profile", "leader_interval_ms", "leader_misses", "leader_grants", "interval_ms", "misses", "lease_ms", "drift_ppm",
		"stagger_ms", "hang_after_ms", "max_voters", "grace_ms", "forget_after_s"}
}

// parseSetting reads a value of the same kind as the present one.
func parseSetting(key, value string, present any) (any, error) {
	if _, ok := present.(bool); ok {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("%s = %s is not true or false", key, foreign.Quote(value))
		}
		return b, nil
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%s = %s is not a whole number from 0 to 4294967295", key, foreign.Quote(value))
	}
	return n, nil
}

// settingValues and fromValues go by the JSON names, so that a new setting
// needs no second list to be changeable.
func settingValues(s ring.Settings) map[string]any {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("coordinator: settings do not encode: %v", err)) // only plain fields
	}
	var values map[string]any
	if err := json.Unmarshal(b, &values); err != nil {
		panic(fmt.Sprintf("coordinator: settings do not decode: %v", err))
	}
	return values
}

func fromValues(values map[string]any) ring.Settings {
	b, err := json.Marshal(values)
	if err != nil {
		panic(fmt.Sprintf("coordinator: settings do not encode: %v", err))
	}
	var s ring.Settings
	if err := json.Unmarshal(b, &s); err != nil {
		panic(fmt.Sprintf("coordinator: settings do not decode: %v", err))
	}
	return s
}
