package tracker

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTable holds a table against a map, and its order against that of the ids.
func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var table Table[int]
	want := map[uint64]int{}
	for range 5000 {
		id := rnd.Uint64N(40)
		switch rnd.IntN(4) {
		case 0:
			table.Delete(id)
			delete(want, id)
		default:
			*table.Ensure(id)++
			want[id]++
		}
		if got := table.Value(id); got != want[id] || (table.Get(id) != nil) != (want[id] != 0) {
			t.Fatalf("member %d has %d, want %d", id, got, want[id])
		}
		if got := table.Any(func(n *int) bool { return *n > 3 }); got != slices.ContainsFunc(slices.Collect(maps.Values(want)), func(n int) bool { return n > 3 }) {
			t.Fatalf("any above 3: %v, the records are %v", got, want)
		}
		if table.Len() != len(want) {
			t.Fatalf("%d records, want %d", table.Len(), len(want))
		}
		var ids []uint64
		for id, n := range table.All() {
			ids = append(ids, id)
			if *n != want[id] {
				t.Fatalf("a walk finds %d for member %d, want %d", *n, id, want[id])
			}
		}
		if !slices.Equal(ids, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("a walk goes through %v, want all of %v, ascending", ids, want)
		}
	}
	for id := range table.All() {
		if id > 10 {
			break // a walk may end early
		}
	}
}
