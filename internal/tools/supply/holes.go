package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// message is one of the objects that govulncheck -format json writes.
type message struct {
	Config *struct {
		GoVersion string `json:"go_version"`
		ScanLevel string `json:"scan_level"`
	} `json:"config"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *finding `json:"finding"`
}

type finding struct {
	OSV          string `json:"osv"`
	FixedVersion string `json:"fixed_version"`
	// Trace begins at the hole. Only a call of it has a function.
	Trace []struct {
		Module   string `json:"module"`
		Version  string `json:"version"`
		Package  string `json:"package"`
		Function string `json:"function"`
	} `json:"trace"`
}

// hole is a known vulnerability in what we are built from.
type hole struct {
	finding
	called bool
}

// scanned is what govulncheck said.
type scanned struct {
	goVersion string
	holes     map[string]hole
	summaries map[string]string
}

func scan(in io.Reader) (scanned, error) {
	s := scanned{holes: map[string]hole{}, summaries: map[string]string{}}
	for d := json.NewDecoder(in); ; {
		var m message
		if err := d.Decode(&m); err == io.EOF {
			break
		} else if err != nil {
			return s, fmt.Errorf("read what govulncheck says: %w", err)
		}
		switch {
		case m.Config != nil:
			if m.Config.ScanLevel != "symbol" {
				return s, fmt.Errorf("govulncheck looked at the level %q, want symbol: only that says what is called", m.Config.ScanLevel)
			}
			s.goVersion = m.Config.GoVersion
		case m.OSV != nil:
			s.summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil && len(m.Finding.Trace) > 0:
			called := m.Finding.Trace[0].Function != ""
			if h, ok := s.holes[m.Finding.OSV]; !ok || called && !h.called {
				s.holes[m.Finding.OSV] = hole{*m.Finding, called}
			}
		}
	}
	if s.goVersion == "" {
		return s, errors.New("govulncheck said nothing of what it looked at")
	}
	return s, nil
}

// holes fails if govulncheck found a hole that we call and the page does not list,
// or the page lists one that it did not find.
func holes(page string, in io.Reader, out io.Writer) error {
	s, err := scan(in)
	if err != nil {
		return err
	}
	known, err := listed(page, holeRow)
	if err != nil {
		return err
	}
	var wrong []string
	var called, imported []string
	for _, id := range slices.Sorted(maps.Keys(s.holes)) {
		h := s.holes[id]
		if !h.called {
			imported = append(imported, id)
			continue
		}
		called = append(called, id)
		if _, ok := known[id]; ok {
			continue
		}
		at, fixed := h.Trace[0], "no release mends it: list it in "+page+" with the reason why it can stay"
		if h.FixedVersion != "" {
			fixed = h.FixedVersion + " mends it"
		}
		wrong = append(wrong, fmt.Sprintf("%s (%s) in %s, %s %s, is called; %s", id, s.summaries[id], at.Package, at.Module, at.Version, fixed))
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if !slices.Contains(called, id) {
			wrong = append(wrong, fmt.Sprintf("%s is listed in %s and no longer found: remove it there", id, page))
		}
	}
	fmt.Fprintf(out, "known holes with %s: %d that we call, of which %d are listed; %d only in packages or modules that we have and do not call %s\n",
		s.goVersion, len(called), len(known), len(imported), strings.Join(imported, " "))
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}
