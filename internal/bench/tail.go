package bench

import (
	"strings"
	"sync"
)

const tailLines = 8

// tail keeps the last lines that a daemon said.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		copy(t.lines, t.lines[1:])
		t.lines = t.lines[:tailLines-1]
	}
	t.lines = append(t.lines, line)
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return ""
	}
	return strings.Join(t.lines, "\n") + "\n"
}

// lastLines is the end of a text that a daemon wrote.
func lastLines(text string) string {
	var t tail
	for line := range strings.Lines(text) {
		t.add(strings.TrimRight(line, "\n"))
	}
	return t.text()
}
