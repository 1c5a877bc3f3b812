package service

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/ring"
)

func profile(t *testing.T, name string) ring.Settings {
	t.Helper()
	s, err := ring.ProfileSettings(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMergeSettings(t *testing.T) {
	lan, fast := profile(t, "lan"), profile(t, "fast")
	edit := func(s ring.Settings, f func(*ring.Settings)) ring.Settings { f(&s); return s }
	for name, c := range map[string]struct {
		cur     ring.Settings
		changes map[string]string
		want    ring.Settings
	}{
		"a profile sets every timing": {lan, map[string]string{"profile": "fast"}, fast},
		"a timing makes it custom": {lan, map[string]string{"misses": "6"},
			edit(lan, func(s *ring.Settings) { s.Profile, s.Misses = "custom", 6 })},
		"the profile comes first": {lan, map[string]string{"profile": "fast", "lease_ms": "200"},
			edit(fast, func(s *ring.Settings) { s.Profile, s.LeaseMS = "custom", 200 })},
		"its own value keeps the name":  {lan, map[string]string{"misses": "5"}, lan},
		"the ring's size is no timing":  {lan, map[string]string{"max_voters": "3"}, edit(lan, func(s *ring.Settings) { s.MaxVoters = 3 })},
		"a profile keeps the ring size": {edit(lan, func(s *ring.Settings) { s.MaxVoters = 3 }), map[string]string{"profile": "fast"}, edit(fast, func(s *ring.Settings) { s.MaxVoters = 3 })},
		"back from custom": {edit(lan, func(s *ring.Settings) { s.Profile, s.Misses = "custom", 6 }),
			map[string]string{"profile": "lan"}, lan},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mergeSettings(c.cur, c.changes)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestMergeSettingsReportsEverythingAtOnce(t *testing.T) {
	lan := profile(t, "lan")
	got, err := mergeSettings(lan, map[string]string{"profile": "slow", "misses": "many", "mises": "3", "lease_ms": "1", "interval_ms": "-1"})
	if !errors.Is(err, ring.ErrInvalid) {
		t.Fatalf("error %v, want ErrInvalid", err)
	}
	for _, want := range []string{`profile "slow"`, `misses = "many"`, `"mises"`, "lease_ms = 1", `interval_ms = "-1"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q says nothing of %s", err, want)
		}
	}
	if got != lan {
		t.Errorf("settings are %+v, want them unchanged", got)
	}
	if _, err := mergeSettings(lan, nil); !errors.Is(err, reason.ErrUsage) {
		t.Errorf("no changes: %v, want ErrUsage", err)
	}
}

// The keys are spelled in several places; they must be the JSON names.
func TestSettingKeysAreTheJSONNames(t *testing.T) {
	var want []string
	typ := reflect.TypeFor[ring.Settings]()
	for i := range typ.NumField() {
		want = append(want, strings.Split(typ.Field(i).Tag.Get("json"), ",")[0])
	}
	if got, _ := settingFields(&ring.Settings{}); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(publish.SettingsToWire(profile(t, "wan")))
	own, err2 := json.Marshal(profile(t, "wan"))
	var wire, values map[string]any
	if err = errors.Join(err, err2, json.Unmarshal(b, &wire), json.Unmarshal(own, &values)); err != nil {
		t.Fatal(err)
	}
	for key, v := range values {
		if got := wire[key]; got != v {
			t.Errorf("%s goes over the wire as %v, want %v", key, got, v)
		}
	}
}
