package service

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
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
	next := cur
	keys, fields := settingFields(&next)
	if len(changes) == 0 {
		return cur, reason.Usagef("no setting to change; the keys are %s", strings.Join(keys, " "))
	}
	var errs []error
	if name, ok := changes["profile"]; ok {
		p, err := withProfile(cur, name)
		if err != nil {
			errs = append(errs, err)
		} else {
			next = p
		}
	}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if key == "profile" {
			continue
		}
		if field, known := fields[key]; !known {
			errs = append(errs, fmt.Errorf("unknown setting %s; the keys are %s", foreign.Quote(key), strings.Join(keys, " ")))
		} else if err := setField(field, key, changes[key]); err != nil {
			errs = append(errs, err)
		}
	}
	if p, err := withProfile(next, next.Profile); err != nil || p != next {
		next.Profile = ring.CustomProfile
	}
	errs = append(errs, next.Validate())
	if err := errors.Join(errs...); err != nil {
		return cur, fmt.Errorf("%w: %w", ring.ErrInvalid, err)
	}
	return next, nil
}

// withProfile returns s with all timings of a profile. What describes the machines,
// the ring's size and its memory stays: that is not how long silence is tolerated.
func withProfile(s ring.Settings, name string) (ring.Settings, error) {
	p, err := ring.ProfileSettings(name)
	p.DriftPPM, p.MaxVoters, p.ForgetAfterS = s.DriftPPM, s.MaxVoters, s.ForgetAfterS
	return p, err
}

// settingFields are the fields of s by the keys of `arc config set`, which are
// the JSON names, in order.
func settingFields(s *ring.Settings) (keys []string, fields map[string]reflect.Value) {
	fields = map[string]reflect.Value{}
	for f, v := range reflect.ValueOf(s).Elem().Fields() {
		key := f.Tag.Get("json")
		keys, fields[key] = append(keys, key), v
	}
	return keys, fields
}

// setField gives a setting a new value of its kind.
func setField(field reflect.Value, key, value string) error {
	if field.Kind() == reflect.Bool {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%s = %s is not true or false", key, foreign.Quote(value))
		}
		field.SetBool(b)
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return fmt.Errorf("%s = %s is not a whole number from 0 to 4294967295", key, foreign.Quote(value))
	}
	field.SetUint(n)
	return nil
}
