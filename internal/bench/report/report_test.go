package report

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// counted is the smallest of Results.
type counted struct {
	Head
	Count int `json:"count"`
}

func (c *counted) Title() string    { return "A count" }
func (c *counted) Picture() Picture { return Picture{} }
func (c *counted) Tables() []Table {
	return []Table{
		{Title: "Counts", Note: "of a | b", Header: []string{"a", "b"}, Rows: [][]string{{"1", "x|y"}}, Remarks: []string{"b is odd"}},
		{Title: "Empty", Header: []string{"a"}},
	}
}

func TestFilesOfARun(t *testing.T) {
	dir := t.TempDir()
	r := &counted{Head: Begin(t.Logf)}
	if err := Save(dir, r); err != nil { // as after the first case
		t.Fatal(err)
	}
	r.Count, r.Skipped = 7, []Skipped{{System: "etcd", What: "all", Why: "not here\nand more"}}
	r.End()
	var stdout strings.Builder
	if err := Write(dir, &stdout, r); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 { // and no picture of nothing
		t.Errorf("in the directory are %v (%v), want three files", entries, err)
	}
	for name, wants := range map[string][]string{
		"results.json": {`"version": 2`, `"count": 7`, `"why": "not here\nand more"`},
		"report.txt":   {"A COUNT\n", "\na  b\n1  x|y\n(of a | b)\nb is odd\n", "etcd    all   not here\n"},
		"report.md":    {"# A count\n", "\n## Counts\n\nof a | b\n\n| a | b |\n|---|---|\n| 1 | x\\|y |\n\nb is odd\n", "| etcd | all | not here |\n"},
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(got), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, got)
			}
		}
		if strings.Contains(string(got), "Empty") {
			t.Errorf("%s has a table without rows", name)
		}
		if name == "report.txt" && string(got) != stdout.String() {
			t.Errorf("%q went to stdout", stdout.String())
		}
	}
	var again counted
	content, _ := os.ReadFile(filepath.Join(dir, "results.json"))
	if err := json.Unmarshal(content, &again); err != nil || again.Count != 7 || !again.Began.Equal(r.Began) {
		t.Errorf("the results are read as %+v (%v)", again, err)
	}
	if err := Write(filepath.Join(dir, "nowhere"), io.Discard, r); err == nil {
		t.Error("a report was written into a directory that is not there")
	}
}
