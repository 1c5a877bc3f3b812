package ring

import "testing"

func TestMatch(t *testing.T) {
	wanted := Wanted{Cluster: "c", RingID: "r", Name: "n2", ID: 2, Incarnation: 20}
	itself := Answer{Cluster: "c", RingID: "r", Name: "n2", ID: 2, Incarnation: 20}
	with := func(change func(a *Answer)) Answer {
		a := itself
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		answer Answer
		want   Match
	}{
		"the wanted process":                     {itself, Itself},
		"it, which does not know its id yet":     {with(func(a *Answer) { a.RingID, a.ID = "", 0 }), Itself},
		"it, of an older version":                {with(func(a *Answer) { a.RingID, a.Cluster, a.Name = "", "", "" }), Itself},
		"started again with its disk":            {with(func(a *Answer) { a.Incarnation = 21 }), Restarted},
		"started again without its disk":         {with(func(a *Answer) { a.Incarnation, a.ID, a.RingID = 21, 0, "" }), Superseded},
		"and joined under another id":            {with(func(a *Answer) { a.Incarnation, a.ID = 21, 7 }), Superseded},
		"another member of the ring":             {Answer{Cluster: "c", RingID: "r", Name: "n3", ID: 3, Incarnation: 30}, Elsewhere},
		"another ring's member of that id":       {Answer{Cluster: "c", RingID: "s", Name: "n2", ID: 2, Incarnation: 99}, Elsewhere},
		"another cluster's member of that id":    {Answer{Cluster: "d", RingID: "s", Name: "n2", ID: 2, Incarnation: 99}, Elsewhere},
		"another cluster's node of that name":    {Answer{Cluster: "d", Name: "n2", Incarnation: 99}, Elsewhere},
		"a stranger that says no name":           {Answer{Incarnation: 99}, Elsewhere},
		"the process, in another ring meanwhile": {with(func(a *Answer) { a.RingID = "s" }), Elsewhere},
	} {
		if got := wanted.Match(c.answer); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
