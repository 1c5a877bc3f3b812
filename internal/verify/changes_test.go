package verify

import (
	"fmt"
	"strings"
	"testing"
)

func join(epoch uint64, name string, id uint64) Change {
	return Change{Kind: Joined, Epoch: epoch, Who: Process{Name: name, ID: id}}
}

func witness(epoch uint64, name string, id uint64) Change {
	ch := join(epoch, name, id)
	ch.Witness = true
	return ch
}

func leave(epoch uint64, name string, id uint64) Change {
	return Change{Kind: Removed, Epoch: epoch, Who: Process{Name: name, ID: id}}
}

func lead(epoch, term uint64, name string, id uint64) Change {
	return Change{Kind: Declared, Epoch: epoch, Term: term, Who: Process{Name: name, ID: id}, Why: "because"}
}

func handed(ch Change, choice Choice, after string) Change {
	ch.Choice, ch.After = choice, after
	return ch
}

func TestReplay(t *testing.T) {
	three := []Change{join(1, "a", 1), lead(2, 5, "a", 1), join(3, "b", 2), join(4, "c", 3)}
	for _, tc := range []struct {
		name    string
		changes []Change
		want    string // in the only violation; "" is none
	}{
		{"nobody led: the lowest id", append(three[:4:4], leave(5, "a", 1), lead(5, 6, "b", 2)), ""},
		{"nobody led: another", append(three[:4:4], leave(5, "a", 1), lead(5, 6, "c", 3)), "G3: epoch 5: c (id 3) is declared (\"because\"), the heir among b (id 2) led in 0, c (id 3) led in 0 is b (id 2)"},
		{"who led last by name, under a new id", append(three[:4:4], leave(5, "a", 1), lead(5, 6, "b", 2), join(6, "a", 4), leave(7, "b", 2), lead(7, 7, "a", 4)), ""},
		{"a lower id before one that led", append(three[:4:4], leave(5, "a", 1), lead(5, 6, "b", 2), join(6, "a", 4), leave(7, "b", 2), lead(7, 7, "c", 3)), "is a (id 4)"},
		{"a join that replaces its older self", append(three[:4:4], join(5, "a", 4), lead(6, 6, "a", 4)), ""},
		{"a witness never leads", append(three[:4:4], witness(5, "d", 4), handed(lead(6, 6, "d", 4), ByAppointment, "a")), "G3: epoch 6: d (id 4) leads and is a witness"},
		{"a witness is passed over", []Change{join(1, "a", 1), lead(2, 5, "a", 1), witness(3, "b", 2), join(4, "c", 3), leave(5, "a", 1), lead(5, 6, "c", 3)}, ""},
		{"the log appoints another", append(three[:4:4], handed(lead(5, 6, "c", 3), ByAppointment, "a")), ""},
		{"the founder joined before anybody could watch", []Change{lead(2, 5, "a", 1), lead(3, 6, "a", 1)}, ""},
		{"the leader again while it is there", append(three[:4:4], lead(5, 6, "b", 2)), "is a (id 1)"},
		{"who leaves is left out", append(three[:4:4], handed(lead(5, 6, "b", 2), ByLeaver, "a")), ""},
		{"who leaves looked before the newest join", []Change{join(1, "b", 2), lead(2, 5, "b", 2), join(3, "c", 3), lead(4, 6, "b", 2),
			join(9, "a", 1), handed(lead(10, 7, "c", 3), ByLeaver, "b")}, ""},
		{"the same, but not by a leader that leaves", []Change{join(1, "b", 2), lead(2, 5, "b", 2), join(3, "c", 3), lead(4, 6, "b", 2),
			join(9, "a", 1), leave(10, "b", 2), lead(10, 7, "c", 3)}, "is a (id 1)"},
		{"told late, at a snapshot's epoch", append([]Change{join(9, "b", 2), join(9, "c", 3)}, append(three[:4:4], leave(5, "a", 1), lead(5, 6, "b", 2))...), ""},
		{"tokens that fall along the log", []Change{join(1, "a", 1), lead(2, 5, "a", 1), lead(3, 4, "a", 1)}, "G1: token 4 was declared at epoch 3, token 5 at epoch 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &Checker{}
			for i, ch := range tc.changes {
				c.Change(fmt.Sprint("stream ", i), ch)
			}
			found := c.Replay()
			got := strings.Trim(fmt.Sprint(found), "[]")
			if len(found) > 1 || (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("found %v, want %q", found, tc.want)
			}
		})
	}
}

// A change is judged as soon as it is told, too.
func TestChangesAreJudgedAtOnce(t *testing.T) {
	c := &Checker{}
	for _, ch := range []Change{join(1, "a", 1), lead(2, 5, "a", 1), leave(3, "b", 2)} {
		if found := c.Change("s", ch); found != nil {
			t.Fatal(found)
		}
	}
	if found := c.Change("s", join(4, "b", 1)); len(found) != 1 || found[0].Check != "ids" {
		t.Errorf("an id of two members: found %v", found)
	}
	if found := c.Change("s", lead(4, 5, "b", 2)); len(found) != 2 || found[0].Check != "G1" || found[1].Check != "G1" {
		t.Errorf("a token of two leaders, twice in a stream: found %v", found)
	}
	if got := len(c.Changes()); got != 5 {
		t.Errorf("%d changes, want 5", got)
	}
}

func TestHeir(t *testing.T) {
	ring := func() *Ring {
		r := &Ring{}
		for i, name := range []string{"a", "b", "c"} {
			r.Join(Member{Process: Process{Name: name, ID: uint64(i) + 1}})
		}
		return r
	}
	for _, tc := range []struct {
		name    string
		change  func(r *Ring)
		without string
		want    string
	}{
		{"nobody led", func(*Ring) {}, "", "a"},
		{"nobody led, and the first is left out", func(*Ring) {}, "a", "b"},
		{"most recent", func(r *Ring) { r.Declare(2, 5); r.Declare(3, 6) }, "", "c"},
		{"most recent but one", func(r *Ring) { r.Declare(2, 5); r.Declare(3, 6) }, "c", "b"},
		{"appointed", func(r *Ring) { r.Declare(2, 5); r.Designated = 3 }, "", "c"},
		{"appointed and left out", func(r *Ring) { r.Declare(2, 5); r.Designated = 3 }, "c", "b"},
		{"an appointment ends with a declaration", func(r *Ring) { r.Designated = 3; r.Declare(2, 5) }, "", "b"},
		{"an appointment ends with the member", func(r *Ring) { r.Designated = 3; r.Remove(3) }, "", "a"},
		{"witnesses do not count", func(r *Ring) { r.Members[0].Witness = true }, "", "b"},
		{"who led is gone", func(r *Ring) { r.Declare(1, 5); r.Remove(1) }, "", "b"},
		{"who led is back", func(r *Ring) { r.Declare(1, 5); r.Remove(1); r.Join(Member{Process: Process{Name: "a", ID: 9}}) }, "", "a"},
		{"nobody is left", func(r *Ring) { r.Members = nil }, "", ""},
	} {
		r := ring()
		tc.change(r)
		if got, ok := r.Heir(func(m Member) bool { return m.Name == tc.without }); got.Name != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, want %q", tc.name, got.Name, tc.want)
		}
	}
}
