package alarms

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Run is a row of probes of the leader's link that were missed until one was
// answered.
type Run struct {
	// Missed is how long it was, Counted how many of them the monitor did not
	// excuse by its own lag.
	Missed  int `json:"missed"`
	Counted int `json:"counted"`
}

// excusesPerMiss is the monitor's bound: after so many times the needed misses
// were excused in a row, they count.
const excusesPerMiss = 3

// raises reports whether the run is a suspicion with so many misses: as they
// come, and with the monitor's lag taken into account.
func (r Run) raises(misses int) (raw, corrected bool) {
	return r.Missed >= misses, r.Counted >= misses || r.Missed-excusesPerMiss*misses >= misses
}

// said is what the logs of a ring tell about a window.
type said struct {
	runs       []missed
	suspicions []Alarm
}

type missed struct {
	Run
	peer     string
	interval time.Duration
}

// line holds the fields of a log line that are looked at.
type line struct {
	Time     string        `json:"@timestamp"`
	Message  string        `json:"@message"`
	Module   string        `json:"@module"`
	Peer     string        `json:"peer"`
	Reason   string        `json:"reason"`
	Interval time.Duration `json:"interval"`
	Missed   int           `json:"missed"`
	Counted  int           `json:"counted"`
}

// at is when the line was written; the zero time if that is not told, or not as
// a time: it counts nevertheless.
func (l *line) at() time.Time {
	at, err := time.Parse(time.RFC3339Nano, l.Time)
	if err != nil {
		return time.Time{}
	}
	return at
}

// monitorModule is the name of monitors' loggers.
const monitorModule = "monitor"

// read takes a node's log from the offset on.
func (s *said) read(node, path string, offset int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if err := s.take(node, f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func (s *said) take(node string, r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // what has no end is being written
		}
		if err != nil {
			return err
		}
		var l line
		// A crash writes plain text; the ring's checks see it.
		if json.Unmarshal(text, &l) != nil || l.Module != monitorModule {
			continue
		}
		switch l.Message {
		case "answered after missed probes":
			s.runs = append(s.runs, missed{Run{l.Missed, l.Counted}, l.Peer, l.Interval})
		case "suspected":
			s.suspicions = append(s.suspicions, Alarm{At: l.at(), What: fmt.Sprintf("%s suspected %s: %s", node, l.Peer, l.Reason)})
		}
	}
}
