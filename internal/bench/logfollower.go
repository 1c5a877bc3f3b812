package bench

import (
	"strings"
	"sync"
)

const linesKept = 8

// logFollower keeps the last lines that a daemon said.
type logFollower struct {
	mu    sync.Mutex
	lines []string
}

func (f *logFollower) add(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == linesKept {
		copy(f.lines, f.lines[1:])
		f.lines = f.lines[:linesKept-1]
	}
	f.lines = append(f.lines, line)
}

func (f *logFollower) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		return ""
	}
	return strings.Join(f.lines, "\n") + "\n"
}

// lastLines is the end of a text that a daemon wrote.
func lastLines(text string) string {
	var f logFollower
	for line := range strings.Lines(text) {
		f.add(strings.TrimRight(line, "\n"))
	}
	return f.text()
}
