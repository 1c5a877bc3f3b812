package trust

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// A file with times says whose turn it is, wherever its secrets were made.
func TestASecretIsReplacedInThreeSteps(t *testing.T) {
	for name, first := range map[string]Secret{
		"dated": NewSecret().Dated(noon.Add(-24 * time.Hour)), "undated": NewSecret(),
		"by a clock that is ahead": NewSecret().Dated(noon.Add(24 * time.Hour)),
	} {
		all := []Secret{first}
		for range 3 { // the next one begins where the last one ended
			var fresh Secret
			for _, step := range Steps {
				for _, other := range Steps {
					if other == step {
						continue
					}
					if got, err := Rotate(all, other, noon); err == nil || !strings.Contains(err.Error(), "rotate "+string(step)) {
						t.Errorf("%s: %s in place of %s: %v, %v", name, other, step, got, err)
					}
				}
				before := slices.Clone(all)
				after, err := Rotate(all, step, noon)
				if err != nil {
					t.Fatalf("%s: %s: %v", name, step, err)
				}
				if !slices.Equal(all, before) {
					t.Errorf("%s: %s changed what it was given", name, step)
				}
				read, err := ParseSecrets(FormatSecrets(after))
				if err != nil || !slices.Equal(read, after) {
					t.Errorf("%s: %v was read back as %v, %v", name, after, read, err)
				}
				switch step {
				case Add:
					fresh = after[1]
					if !slices.Equal(after, []Secret{first, fresh}) || fresh.Made().IsZero() {
						t.Errorf("%s: add makes %v of %v", name, after, all)
					}
				case Use:
					if !slices.Equal(after, []Secret{fresh, first}) {
						t.Errorf("%s: use makes %v of %v", name, after, all)
					}
				case Drop:
					if !slices.Equal(after, []Secret{fresh}) {
						t.Errorf("%s: drop makes %v of %v", name, after, all)
					}
				}
				if step != Drop && Signer(after) != fresh {
					t.Errorf("%s: after %s %v signs, want %v", name, step, Signer(after), fresh)
				}
				all = after
			}
			first = fresh
		}
	}
}

// A file that was written by hand may not tell.
func TestWhichSecretIsNewestMayNotBeKnown(t *testing.T) {
	old, a, b, c := NewSecret().Dated(noon.Add(-time.Hour)), NewSecret(), NewSecret(), NewSecret().Dated(noon)
	for _, row := range []struct {
		all    []Secret
		next   Step
		signer Secret
	}{
		{[]Secret{a}, Add, a},
		{[]Secret{a, b}, "", a},
		{[]Secret{b, a}, "", b},
		{[]Secret{c, b.Dated(noon)}, "", c},
		{[]Secret{a, b, c}, Use, c},
		{[]Secret{a, c, b}, Use, c},
		{[]Secret{c, a, b}, Drop, c},
		{[]Secret{a, old, c}, Use, c},
		{[]Secret{old, c, a}, Use, c},
		{[]Secret{c, old}, Drop, c},
	} {
		next, err := Next(row.all)
		if next != row.next || (err == nil) != (row.next != "") {
			t.Errorf("%v: next is %q, %v; want %q", row.all, next, err, row.next)
		}
		if got := Signer(row.all); got != row.signer {
			t.Errorf("%v: %v signs, want %v", row.all, got, row.signer)
		}
		for _, step := range Steps {
			if got, err := Rotate(row.all, step, noon); (err == nil) != (step == row.next) {
				t.Errorf("%v: %s makes %v, %v", row.all, step, got, err)
			}
		}
	}
	if got, err := Rotate([]Secret{a, old, c}, Use, noon); err != nil || !slices.Equal(got, []Secret{c, a, old}) {
		t.Errorf("of three %v, %v", got, err)
	}
}
