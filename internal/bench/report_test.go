package bench

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arc-ring/arc/internal/bench/report"
)

func example() *Results {
	return &Results{
		Head: report.Head{
			Programs: map[string]string{"ARC": "arc 1"},
			Skipped:  []report.Skipped{{System: "serf/lan", What: "all", Why: "no apt-get | here\nmore"}},
		},
		Failover: []Failover{
			{System: "arc/lan", Hosts: 5, Fault: "kill", First: Sample{4, 5, 6}, All: Sample{5, 6, 7}},
			{System: "keepalived/1s", Hosts: 5, Fault: "kill", First: Sample{2500, 2400, 2600}, All: Sample{2500, 2400, 2601}, Labs: 12},
			{System: "etcd/default", Hosts: 5, Fault: "kill", Failed: []string{"no new leader"}},
			{System: "arc/lan", Hosts: 3, Fault: "pull", First: Sample{500}, All: Sample{501}},
		},
		Costs: []Cost{{System: "arc/lan", Hosts: 5, Seconds: 10, CPUPerMinute: 3, SentPerNode: 1234, ResidentPerNode: 32 << 20, ResidentMost: 40 << 20}},
		Cuts:  []Cut{{System: "keepalived/1s", Hosts: 5, Both: Sample{2000}, CutFor: Sample{4500}, New: Sample{2400}}},
	}
}

func TestTables(t *testing.T) {
	dir, r := t.TempDir(), example()
	var plain strings.Builder
	if err := report.Write(dir, &plain, r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"5.00 / 5.80 / 6.00", // ARC's first
		"2500 / 2580 / 2600",
		"500 ×", // 2500 / 5
		"0 (+1 failed)",
		"32.0",
		"no apt-get",
		"labs",
		"12",
	} {
		if !strings.Contains(plain.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, plain.String())
		}
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	// Every row of a table has as many cells as its header.
	for _, table := range r.Tables() {
		for _, row := range table.Rows {
			if len(row) != len(table.Header) {
				t.Errorf("%s: %d cells under %d headings: %q", table.Title, len(row), len(table.Header), row)
			}
		}
	}
	picture, err := os.ReadFile(filepath.Join(dir, "report.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "3 hosts", "5 hosts", "arc/lan", "keepalived/1s", "kill -9 of the leader"} {
		if !strings.Contains(string(picture), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
}

// With nothing but failures there is nothing to draw, and that is no error.
func TestNothingToDraw(t *testing.T) {
	r := &Results{Failover: []Failover{{System: "arc/lan", Hosts: 3, Fault: "kill", Failed: []string{"x"}}}}
	if err := report.Write(t.TempDir(), io.Discard, r); err != nil {
		t.Error(err)
	}
}

func TestEveryFaultHasAColour(t *testing.T) {
	if report.Inks < len(Faults) {
		t.Errorf("%d colours for %d faults", report.Inks, len(Faults))
	}
}

func TestChoose(t *testing.T) {
	if got := len(Choose(nil)); got != len(Systems) {
		t.Errorf("%d of %d systems are meant by nothing", got, len(Systems))
	}
	if got := Choose([]string{"keepalived/10ms", "arc"}); len(got) != 4 || got[3].ID != "keepalived/10ms" {
		t.Errorf("chose %d, want the three of ARC and one of keepalived", len(got))
	}
	seen := map[string]bool{}
	for _, s := range Systems {
		if seen[s.ID] || s.ID == "" || s.Patience == nil || s.provide == nil || s.begin == nil || s.MaxHosts > 0 && s.Why == "" {
			t.Errorf("%+v is not complete, or there twice", s)
		}
		seen[s.ID] = true
	}
}
