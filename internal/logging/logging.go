package logging

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Names of the loggers below a process's root.
const (
	Coordinator = "coordinator"
	Monitor     = "monitor"
	Peer        = "peer"
	Storage     = "storage"
	Discovery   = "discovery"
)

// DefaultLevel is what a process logs unless told otherwise.
const DefaultLevel = "info"

// Levels are the names that ParseLevel knows, the most talkative first.
var Levels = []string{"trace", "debug", "info", "warn", "error", "off"}

// Options say what New makes.
type Options struct {
	// Name of the process in its lines, such as Coordinator.
	Name string
	// Level is the lowest that is written; 0 means DefaultLevel.
	Level hclog.Level
	// JSON writes one object a line in place of text.
	JSON bool
	// Output is where lines go.
	Output io.Writer

	// exclude reports whether a line is left out; nil lets all through.
	exclude func(level hclog.Level, message string, args ...any) bool
}

// New returns the root logger of a process.
func New(o Options) hclog.Logger {
	log := hclog.New(&hclog.LoggerOptions{
		Name:       o.Name,
		Level:      o.Level,
		JSONFormat: o.JSON,
		Output:     o.Output,
		Exclude:    o.exclude,
		TimeFormat: "2006-01-02T15:04:05.000000Z07:00",
		TimeFn:     func() time.Time { return time.Now().UTC() },
	})
	return words{log, o.JSON}
}

// ParseLevel returns the level of a name. A typo is an error: hclog's own
// parser would quietly return NoLevel, which logs everything.
func ParseLevel(name string) (hclog.Level, error) {
	level := hclog.LevelFromString(name)
	if level == hclog.NoLevel {
		return hclog.NoLevel, fmt.Errorf("%q is not one of %s", name, strings.Join(Levels, ", "))
	}
	return level, nil
}
