package tracker

import (
	"iter"
	"slices"
)

// Table holds one record of type T for each member, ascending by id. The zero
// value is an empty table. It is not safe for concurrent use.
type Table[T any] struct {
	ids     []uint64
	records []*T
}

// Get returns the record of a member, nil if there is none.
func (t *Table[T]) Get(id uint64) *T {
	if i, ok := slices.BinarySearch(t.ids, id); ok {
		return t.records[i]
	}
	return nil
}

// Value returns a copy of the record of a member, the zero value if there is
// none. It is for readers to whom the two are the same.
func (t *Table[T]) Value(id uint64) (record T) {
	if r := t.Get(id); r != nil {
		record = *r
	}
	return record
}

// Ensure returns the record of a member, and makes an empty one if there is
// none.
func (t *Table[T]) Ensure(id uint64) *T {
	i, ok := slices.BinarySearch(t.ids, id)
	if !ok {
		t.ids = slices.Insert(t.ids, i, id)
		t.records = slices.Insert(t.records, i, new(T))
	}
	return t.records[i]
}

// Delete drops the record of a member, if there is one.
func (t *Table[T]) Delete(id uint64) {
	if i, ok := slices.BinarySearch(t.ids, id); ok {
		t.ids = slices.Delete(t.ids, i, i+1)
		t.records = slices.Delete(t.records, i, i+1)
	}
}

// IDs returns the ids of all records, ascending. Records may be made or dropped
// while the caller walks through them.
func (t *Table[T]) IDs() []uint64 { return slices.Clone(t.ids) }

// Len returns the number of records.
func (t *Table[T]) Len() int { return len(t.ids) }

// Any reports whether a record fulfils a condition.
func (t *Table[T]) Any(fulfils func(*T) bool) bool { return slices.ContainsFunc(t.records, fulfils) }

// All walks through the records in the order of their ids. Records must not be
// made or dropped meanwhile.
func (t *Table[T]) All() iter.Seq2[uint64, *T] {
	return func(yield func(uint64, *T) bool) {
		for i, id := range t.ids {
			if !yield(id, t.records[i]) {
				return
			}
		}
	}
}
