package report

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// formatVersion is that of results.json.
const formatVersion = 2

// Head says where and when results were measured.
type Head struct {
	Version int       `json:"version"`
	Began   time.Time `json:"began"`
	// Command is what was typed.
	Command string `json:"command"`
	// TookSeconds is the whole run, preparations included.
	TookSeconds float64 `json:"took_seconds"`
	Machine     Machine `json:"machine"`
	// Programs are the versions of what was measured, by name.
	Programs map[string]string `json:"programs,omitempty"`
	Skipped  []Skipped         `json:"skipped,omitempty"`
}

// Machine says where it was measured.
type Machine struct {
	Kernel string `json:"kernel"`
	Cores  int    `json:"cores"`
	// LoadBefore is the load average of a minute at the start; above 0.5 the
	// figures are of little worth.
	LoadBefore float64 `json:"load_before"`
}

// Skipped says why something was not measured.
type Skipped struct {
	System string `json:"system"`
	What   string `json:"what"`
	Why    string `json:"why"`
}

// Begin makes the head of results that are measured from now on.
func Begin(say func(format string, args ...any)) Head {
	command := append([]string{"scripts/" + filepath.Base(os.Args[0])}, os.Args[1:]...)
	h := Head{Version: formatVersion, Began: time.Now(), Command: strings.Join(command, " "), Machine: machine(), Programs: map[string]string{}}
	if load := h.Machine.LoadBefore; load > 0.5 {
		say("the load average is %.1f: the figures will be worth little", load)
	}
	return h
}

// End notes how long it took.
func (h *Head) End() { h.TookSeconds = time.Since(h.Began).Seconds() }

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			m.LoadBefore, _ = strconv.ParseFloat(fields[0], 64)
		}
	}
	return m
}

// heading is the head for people.
func (h *Head) heading() string {
	text := fmt.Sprintf("%s, `%s`, %d cores, Linux %s, load average before %.2f, took %v.", h.Began.Format(time.RFC3339), h.Command, h.Machine.Cores,
		h.Machine.Kernel, h.Machine.LoadBefore, time.Duration(h.TookSeconds)*time.Second)
	var programs []string
	for name, version := range h.Programs {
		programs = append(programs, name+" ("+version+")")
	}
	slices.Sort(programs)
	if len(programs) > 0 {
		text += "\n" + strings.Join(programs, "; ") + "."
	}
	return text
}

// skipped is the table of what was not measured.
func (h *Head) skipped() Table {
	t := Table{Title: "Not measured", Header: []string{"system", "what", "why"}}
	for _, s := range h.Skipped {
		why, _, _ := strings.Cut(s.Why, "\n")
		t.Rows = append(t.Rows, []string{s.System, s.What, why})
	}
	return t
}
