package logging

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestParseLevel(t *testing.T) {
	for _, name := range Levels {
		if _, err := ParseLevel(name); err != nil {
			t.Errorf("ParseLevel(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "verbose", "nolevel"} {
		if level, err := ParseLevel(name); err == nil {
			t.Errorf("ParseLevel(%q) = %v, want an error", name, level)
		}
	}
}

func TestSetLevelReachesLoggersBelow(t *testing.T) {
	var out bytes.Buffer
	root, err := New(Options{Name: Coordinator, Level: "warn", Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	raft := root.Named(Raft)
	raft.Info("first")
	root.SetLevel(hclog.Info)
	raft.Info("second", "term", 7)
	if got := out.String(); strings.Contains(got, "first") || !strings.Contains(got, "coordinator.raft: second: term=7") {
		t.Errorf("log is %q, want only the second line", got)
	}
}

func TestJSONLinesDecode(t *testing.T) {
	var out bytes.Buffer
	log, err := New(Options{Name: Monitor, JSON: true, Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("link up", "peer", "n2")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("line %q: %v", out.String(), err)
	}
	if line["@message"] != "link up" || line["peer"] != "n2" || line["@module"] != "monitor" {
		t.Errorf("line is %v", line)
	}
}

func TestBadLevelIsNamed(t *testing.T) {
	if _, err := New(Options{Level: "loud"}); err == nil || !strings.Contains(err.Error(), `"loud"`) {
		t.Errorf("New with level loud: %v, want the value in the error", err)
	}
}
