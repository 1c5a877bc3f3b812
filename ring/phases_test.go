package ring

import (
	"errors"
	"reflect"
	"testing"
)

func TestTimedBelongsToNoEpoch(t *testing.T) {
	s := founded(t, "a", "b", "c")
	if err := declare(t, s, 10, 1); err != nil {
		t.Fatal(err)
	}
	d := &Declare{Term: 11, ID: 2, Evict: []Evict{{ID: 1, Evidence: Silent, By: 3}}, Phases: Phases{Detected: 600, PromisesEnded: 5, Campaign: 6, Elected: 9}}
	must(t, s, 11, Command{Declare: d})
	epoch, hash := s.Epoch, s.Hash()
	changes, err := s.Apply(11, Command{Timed: &Timed{Term: 11, Declared: 12, FirstClaim: 14}})
	if err != nil || changes != nil {
		t.Fatalf("changes %v, error %v; want neither", changes, err)
	}
	if s.Epoch != epoch || s.Hash() != hash {
		t.Errorf("epoch %d, hash %.8s; before it was %d, %.8s", s.Epoch, s.Hash(), epoch, hash)
	}
	l := s.History[len(s.History)-1]
	want := Phases{Detected: 600, PromisesEnded: 5, Campaign: 6, Elected: 9, Declared: 12, FirstClaim: 14}
	if l.Phases != want || l.SeenBy != "c" || l.Evidence != Silent {
		t.Errorf("phases %+v, evidence %q seen by %q; want %+v, silent, c", l.Phases, l.Evidence, l.SeenBy, want)
	}
	r, _, err := Restore(s.Snapshot())
	if err != nil || !reflect.DeepEqual(r.History[len(r.History)-1], l) || r.Hash() != hash {
		t.Errorf("a snapshot gives back %+v, %v; want %+v", r.History, err, l)
	}
}

func TestTimedIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		term  uint64
		timed Timed
		want  error
	}{
		{"in an entry of another term", 12, Timed{Term: 11, Declared: 1, FirstClaim: 2}, ErrStale},
		{"about an earlier leadership", 11, Timed{Term: 10, Declared: 1, FirstClaim: 2}, ErrStale},
		{"claims before it declares", 11, Timed{Term: 11, Declared: 3, FirstClaim: 2}, ErrInvalid},
		{"negative", 11, Timed{Term: 11, Declared: -1, FirstClaim: 2}, ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := founded(t, "a", "b")
			for i, term := range []uint64{10, 11} {
				if err := declare(t, s, term, uint64(i+1), []uint64{1}[:i]...); err != nil {
					t.Fatal(err)
				}
			}
			before := string(s.Snapshot())
			if _, err := s.Apply(c.term, Command{Timed: &c.timed}); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if after := string(s.Snapshot()); after != before {
				t.Errorf("the state changed to %s", after)
			}
		})
	}
	s := founded(t, "a")
	if err := declare(t, s, 10, 1); err != nil {
		t.Fatal(err)
	}
	must(t, s, 10, Command{Timed: &Timed{Term: 10, Declared: 1, FirstClaim: 2}})
	if _, err := s.Apply(10, Command{Timed: &Timed{Term: 10, Declared: 3, FirstClaim: 4}}); !errors.Is(err, ErrStale) {
		t.Errorf("told twice: error %v, want %v", err, ErrStale)
	}
}

func TestWhoSawTheEnd(t *testing.T) {
	for _, c := range []struct {
		name     string
		declare  Declare
		evidence Evidence
		seenBy   string
	}{
		{"certified by its own monitor", Declare{Evict: []Evict{{ID: 1, Evidence: Certified}}}, Certified, "a"},
		{"suspected by its watcher", Declare{Evict: []Evict{{ID: 1, Evidence: Reset, By: 3}}}, Reset, "c"},
		{"seen by somebody who dies too", Declare{Evict: []Evict{{ID: 3, Evidence: Certified}, {ID: 1, Evidence: Silent, By: 3}}}, Silent, "c"},
		{"refused first, evicted as silent", Declare{Evict: []Evict{{ID: 1, Evidence: Silent, By: 2}}, Evidence: Refused, By: 3}, Refused, "c"},
		{"planned", Declare{}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := founded(t, "a", "b", "c")
			if err := declare(t, s, 10, 1); err != nil {
				t.Fatal(err)
			}
			if len(c.declare.Evict) == 0 {
				must(t, s, 10, Command{Appoint: &Appoint{To: 2, Why: "handed over"}})
			}
			c.declare.Term, c.declare.ID = 11, 2
			must(t, s, 11, Command{Declare: &c.declare})
			if l := s.History[1]; l.Evidence != c.evidence || l.SeenBy != c.seenBy {
				t.Errorf("evidence %q seen by %q, want %q by %q", l.Evidence, l.SeenBy, c.evidence, c.seenBy)
			}
		})
	}
	t.Run("evicted earlier", func(t *testing.T) {
		s := founded(t, "a", "b", "c")
		if err := declare(t, s, 10, 1); err != nil {
			t.Fatal(err)
		}
		must(t, s, 11, Command{Evict: &Evict{ID: 1, Evidence: Certified}})
		must(t, s, 11, Command{Declare: &Declare{Term: 11, ID: 2, Evidence: Certified}})
		if l := s.History[1]; l.Evidence != Certified || l.SeenBy != "a" || l.After != "a" {
			t.Errorf("evidence %q seen by %q after %q, want certified by a", l.Evidence, l.SeenBy, l.After)
		}
	})
}
