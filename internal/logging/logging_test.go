package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	root := New(Options{Name: Coordinator, Level: hclog.Warn, Output: &out})
	raft := root.Named("raft")
	raft.Info("first")
	root.SetLevel(hclog.Info)
	raft.Info("second", "term", 7)
	if got := out.String(); strings.Contains(got, "first") || !strings.Contains(got, "coordinator.raft: second: term=7") {
		t.Errorf("log is %q, want only the second line", got)
	}
}

func TestJSONLinesDecode(t *testing.T) {
	var out bytes.Buffer
	log := New(Options{Name: Monitor, JSON: true, Output: &out})
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
	if _, err := ParseLevel("loud"); err == nil || !strings.Contains(err.Error(), `"loud"`) {
		t.Errorf("ParseLevel of loud: %v, want the value in the error", err)
	}
}

// Lists are read by people in a text, and by programs in JSON.
func TestListsAreShownAsPeopleWriteThem(t *testing.T) {
	var none []string
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
	args := []any{"names", []string{"n1", "n 2", "n3"}, "one", []string{"n1"}, "ids", []uint64{1, 2}, "none", none, "addresses", addrs, "took", time.Second, "raw", []byte("ab")}
	var out bytes.Buffer
	log := New(Options{Name: Coordinator, Output: &out})
	want := []string{`names="n1, n 2, n3"`, "one=n1", `ids="1, 2"`, "none=none", `addresses="10.0.0.1, fd00::1"`, "took=1s"}
	for how, write := range map[string]func(){
		"info":  func() { log.Info("x", args...) },
		"log":   func() { log.Log(hclog.Warn, "x", args...) },
		"with":  func() { log.Named("peer").With(args...).Error("x") },
		"below": func() { log.Named("peer").With("a", 1).ResetNamed("b").Warn("x", args...) },
	} {
		out.Reset()
		write()
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: %q lacks %q", how, out.String(), w)
			}
		}
	}
	if ids, ok := args[5].([]uint64); !ok || len(ids) != 2 {
		t.Errorf("the caller's arguments became %v", args)
	}

	out.Reset()
	log = New(Options{Output: &out, JSON: true})
	log.Info("x", args...)
	if !strings.Contains(out.String(), `"names":["n1","n 2","n3"]`) {
		t.Errorf("JSON: %s", out.String())
	}
}

// What is not known is left out of a text line, and errors are shown without the words
// that gRPC puts around them.
func TestValuesAreShownPlainly(t *testing.T) {
	type word string
	refused := fmt.Errorf("not out of the ring: %w", status.Error(codes.Unavailable, "no leader: needs n2"))
	args := []any{"after", "", "evidence", word(""), "by", "n1", "count", 0, "error", refused}
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		log := New(Options{Name: "a", Output: &out, JSON: asJSON})
		log.With("leader", "").Warn("x", args...)
		if text, want := out.String(), `: x: by=n1 count=0 error="not out of the ring: no leader: needs n2"`; !asJSON && !strings.HasSuffix(strings.TrimSpace(text), want) {
			t.Errorf("text %q, want %q", text, want)
		}
		if text := out.String(); asJSON && (!strings.Contains(text, `"error":"not out of the ring: no leader: needs n2"`) || !strings.Contains(text, `"after":""`)) {
			t.Errorf("JSON: %s", text)
		}
	}
	if args[9] != refused {
		t.Errorf("the caller's arguments became %v", args)
	}
}

// Lines of machines in different zones are compared.
func TestTimesAreUTC(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("elsewhere", 5*3600)
	defer func() { time.Local = zone }()
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		log := New(Options{Name: Monitor, JSON: asJSON, Output: &out})
		log.Info("link up")
		if line := out.String(); !strings.Contains(line, "Z") || strings.Contains(line, "+05:00") {
			t.Errorf("line is %q, want its time in UTC", line)
		}
	}
}
