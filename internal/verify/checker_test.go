package verify

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// step is one observation.
type step func(c *Checker) []Violation

func begins(stream string, term uint64) step {
	return func(c *Checker) []Violation { c.Begins(stream, term); return nil }
}

func declared(stream, name string, id, term uint64) step {
	return func(c *Checker) []Violation { return c.Declared(stream, Process{Name: name, ID: id}, term) }
}

func named(id uint64, name string) step {
	return func(c *Checker) []Violation { return c.Named(id, name) }
}

func sample(name string, term uint64, asked, answered time.Duration) step {
	return func(c *Checker) []Violation { return c.Sample(Sample{Process{Name: name}, term, asked, answered}) }
}

func lease(name string, inc, term uint64, from, until time.Duration) step {
	return func(c *Checker) []Violation {
		return c.Lease(Lease{Process{Name: name, Incarnation: inc}, term, from, until})
	}
}

func declaredFirst(c *Checker) []Violation { c.DeclaredFirst = true; return nil }

func TestChecker(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps []step
		want  string // in the only violation; "" is none
	}{
		// G1: declarations.
		{"tokens rise along a stream", []step{begins("a", 4), declared("a", "n1", 1, 5), declared("a", "n2", 2, 9)}, ""},
		{"two streams tell the same", []step{declared("a", "n1", 1, 5), declared("b", "n1", 1, 5)}, ""},
		{"a later stream begins again", []step{declared("a", "n1", 1, 5), begins("a2", 5), declared("a2", "n2", 2, 6)}, ""},
		{"a stream begins again behind where it was", []step{declared("a", "n1", 1, 5), declared("a", "n2", 2, 6), begins("a", 5), declared("a", "n2", 2, 6)}, ""},
		{"a token twice in a stream", []step{declared("a", "n1", 1, 5), declared("a", "n1", 1, 5)}, "G1: a: token 5 of n1 (id 1) after token 5"},
		{"a token that falls", []step{declared("a", "n1", 1, 6), declared("a", "n2", 2, 5)}, "G1: a: token 5 of n2 (id 2) after token 6"},
		{"a token below where the stream began", []step{begins("a", 7), declared("a", "n1", 1, 5)}, "G1: a: token 5 of n1 (id 1) after token 7"},
		{"two leaders of a token", []step{declared("a", "n1", 1, 5), declared("b", "n2", 2, 5)}, "G1: token 5 is declared by n1 (id 1) and by n2 (id 2)"},
		{"two ids of one name and a token", []step{declared("a", "n1", 1, 5), declared("b", "n1", 3, 5)}, "G1: token 5 is declared by n1 (id 1) and by n1 (id 3)"},
		{"an id that only one stream knows", []step{declared("a", "n1", 0, 5), declared("b", "n1", 1, 5), declared("c", "n1", 2, 5)}, "n1 (id 1) and by n1 (id 2)"},

		// G1 and G3: who claims.
		{"the declared leader claims", []step{declared("a", "n1", 1, 5), sample("n1", 5, 1, 2)}, ""},
		{"two claim with a token, at any time", []step{sample("n1", 5, 0, 9), sample("n2", 5, 1, 2)}, "G1: n2 claims with token 5, with which n1 claimed"},
		{"the next process claims with a token", []step{lease("n1", 7, 5, 0, 2), lease("n1", 8, 5, 3, 4)}, "G1: n1 claims with token 5, with which n1 claimed"},
		{"another than the declared leader claims", []step{declared("a", "n1", 1, 5), sample("n2", 5, 1, 2)}, "G3: n2 claims with token 5, but n1 (id 1) declared it"},
		{"the same, and the declaration comes later", []step{sample("n2", 5, 1, 2), declared("a", "n1", 1, 5)}, "G3: n2 claims with token 5, but n1 (id 1) declared it"},
		{"a declaration that is not heard of yet", []step{sample("n1", 5, 1, 2)}, ""},
		{"a claim that nobody declared", []step{declaredFirst, declared("a", "n1", 1, 5), sample("n1", 6, 1, 2)}, "G3: n1 claims with token 6, which was never declared"},

		// G2: claims of which the ends are known.
		{"claims in turn", []step{lease("n1", 1, 5, 0, 9), lease("n2", 2, 6, 9, 12)}, ""},
		{"a claim is prolonged", []step{lease("n1", 1, 5, 0, 9), lease("n1", 1, 5, 0, 14), lease("n2", 2, 6, 14, 20)}, ""},
		{"a claim is given up", []step{lease("n1", 1, 5, 0, 9), lease("n1", 1, 5, 0, 4), lease("n2", 2, 6, 4, 20)}, ""},
		{"a claim comes back with its token", []step{lease("n1", 1, 5, 0, 9), lease("n1", 1, 5, 30, 40), lease("n2", 2, 6, 40, 50)}, ""},
		{"a claim before the end of another", []step{lease("n1", 1, 5, 0, 9), lease("n2", 2, 6, 8, 12)}, "G2: n1 claims with token 5 1ns after n2 claimed with token 6"},
		{"a claim is prolonged into another", []step{lease("n1", 1, 5, 0, 9), lease("n2", 2, 6, 9, 12), lease("n1", 1, 5, 0, 10)}, "G2: n1 claims with token 5 1ns after n2 claimed with token 6"},
		{"a lower token during a claim", []step{lease("n2", 2, 6, 0, 9), lease("n1", 1, 5, 3, 4)}, "G2: n1 claims with token 5 4ns after n2"},
		{"a lower token after a claim", []step{lease("n2", 2, 6, 0, 9), lease("n1", 1, 5, 20, 30)}, "G2: n1 claims with token 5 30ns after n2"},
		{"an overlap is told once", []step{lease("n1", 1, 5, 0, 9), lease("n2", 2, 6, 8, 12), lease("n2", 2, 6, 8, 13)}, "G2"},

		// G2: claims that were asked for.
		{"answers in turn", []step{sample("n1", 5, 0, 1), sample("n2", 6, 2, 3)}, ""},
		{"answers whose order is not known", []step{sample("n1", 5, 0, 5), sample("n2", 6, 2, 3)}, ""},
		{"a claim after a later one", []step{sample("n2", 6, 0, 1), sample("n1", 5, 2, 3)}, "G2: n1 claims with token 5 1ns after n2 claimed with token 6"},
		{"the same, heard the other way round", []step{sample("n1", 5, 2, 3), sample("n2", 6, 0, 1)}, "G2: n1 claims with token 5 1ns after n2 claimed with token 6"},
		{"a claim between two of a higher token", []step{sample("n2", 6, 0, 1), sample("n2", 6, 8, 9), sample("n1", 5, 3, 4)}, "G2"},
		{"a claim between two of a lower token", []step{sample("n1", 5, 0, 1), sample("n1", 5, 8, 9), sample("n2", 6, 3, 4)}, "G2"},
		{"an answer within a lease of a higher token", []step{lease("n2", 2, 6, 0, 9), sample("n1", 5, 3, 4)}, "G2"},
		{"heard of, and since when is not known", []step{sample("n1", 5, 0, 9), sample("n2", 6, 0, 3)}, ""},
		{"a claim after one was heard of", []step{sample("n2", 6, 0, 3), sample("n1", 5, 4, 5)}, "G2"},

		{"an id is told twice", []step{named(3, "n1"), named(3, "n1"), named(4, "n1")}, ""},
		{"an id of two members", []step{named(3, "n1"), named(3, "n2")}, "ids: id 3 was given to n1 and to n2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &Checker{}
			var found []Violation
			for _, s := range tc.steps {
				found = append(found, s(c)...)
			}
			got := strings.Trim(fmt.Sprint(found), "[]")
			if len(found) > 1 || (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("found %v, want %q", found, tc.want)
			}
		})
	}
}

func TestWhatTheCheckerHasSeen(t *testing.T) {
	c := &Checker{}
	for _, s := range []step{declared("a", "n1", 1, 5), declared("b", "n1", 1, 5), declared("a", "n2", 2, 6), sample("n1", 5, 0, 1), named(1, "n1")} {
		if found := s(c); found != nil {
			t.Fatal(found)
		}
	}
	if c.Declarations() != 2 || c.Claimed() != 1 || !c.HasClaimed(5) || c.HasClaimed(6) || c.NameOf(1) != "n1" || c.NameOf(2) != "" {
		t.Errorf("%d declarations, %d claimed, 5: %v, 6: %v, names %q %q", c.Declarations(), c.Claimed(), c.HasClaimed(5), c.HasClaimed(6), c.NameOf(1), c.NameOf(2))
	}
}
