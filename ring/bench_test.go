package ring

import (
	"fmt"
	"testing"
)

// A declaration with an eviction is what every member reads at a failover.
var declaration = Command{Ref: 1, Declare: &Declare{
	Term: 1796024876, ID: 1, Incarnation: 7533074290431947607, Since: 1796024876457095, Gap: 13452, CertainGap: 13452,
	Evict:  []Evict{{ID: 3, Incarnation: 7533074300766804995, Evidence: Certified, By: 2}},
	Why:    "most recent former leader alive, led in term 1796024868",
	Phases: Phases{Campaign: 812, Elected: 13452},
}}

func BenchmarkEncodeCommand(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		declaration.Encode()
	}
	b.ReportMetric(float64(len(declaration.Encode())), "bytes")
}

func BenchmarkDecodeCommand(b *testing.B) {
	data := declaration.Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeCommand(data); err != nil {
			b.Fatal(err)
		}
	}
}

// A snapshot of seven members with a long history.
func BenchmarkSnapshot(b *testing.B) {
	s := founded(b, "a", "b", "c", "d", "e", "f", "g")
	for i := range uint64(HistoryKept) {
		must(b, s, 1+i, Command{Appoint: &Appoint{To: 1 + i%7, Why: fmt.Sprint("round ", i)}})
		if err := declare(b, s, 2+i, 1+i%7); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Snapshot()
	}
}
