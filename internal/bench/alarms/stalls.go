package alarms

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stalls are what the machine did to everybody meanwhile: alarms beside a
// stall, or much stolen time, are its own.
type Stalls struct {
	// LongestMS is the longest time between two wake-ups of one of the meter's
	// threads, which are to be a millisecond apart.
	LongestMS float64 `json:"longest_stall_ms"`
	// StolenMS is the processor time that the machine below took away from this
	// one, of all processors together.
	StolenMS float64 `json:"stolen_ms"`
	// Ordinary is set if not every thread of the meter was above all others on a
	// processor of its own: then some stalls are a thread that had to wait for
	// others, as on any busy machine.
	Ordinary bool `json:"ordinary,omitempty"`
	// Forgotten is how many stalls List has no more: it keeps the newest.
	Forgotten int `json:"forgotten,omitempty"`
	// List is in the order of their ends, also with stalls from just before and
	// after what was watched.
	List []Stall `json:"list"`
}

// Stall is a time in which a processor ran nothing, not even what is above all
// others there.
type Stall struct {
	Processor int       `json:"processor"`
	End       time.Time `json:"end"`
	MS        float64   `json:"ms"`
}

func (s Stall) begin() time.Time {
	return s.End.Add(-time.Duration(s.MS * float64(time.Millisecond)))
}

// besideAfter is how long after an alarm a stall may begin and still be beside
// it: a node and the meter do not read their clocks at the same moment, and
// processors are not all stopped at once.
const besideAfter = 5 * time.Millisecond

// beside returns the longest stall that overlaps the time from reach before the
// moment to besideAfter after it, 0 if there is none.
func (s *Stalls) beside(moment time.Time, reach time.Duration) (longest float64) {
	for _, l := range s.List {
		if !l.begin().After(moment.Add(besideAfter)) && !l.End.Before(moment.Add(-reach)) {
			longest = max(longest, l.MS)
		}
	}
	return longest
}

// share is the part of the time, 0 to 1, in which an alarm would be beside a
// stall: how likely it is that one is by chance.
func (s *Stalls) share(began, ended time.Time, reach time.Duration) float64 {
	type span struct{ from, to time.Time }
	spans := make([]span, len(s.List))
	for i, l := range s.List {
		spans[i] = span{l.begin().Add(-besideAfter), l.End.Add(reach)}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var covered time.Duration
	done := began // nothing before it is still to be counted
	for _, p := range spans {
		if p.from.Before(done) {
			p.from = done
		}
		if p.to.After(ended) {
			p.to = ended
		}
		if p.to.After(p.from) {
			covered += p.to.Sub(p.from)
			done = p.to
		}
	}
	if !ended.After(began) {
		return 0
	}
	return covered.Seconds() / ended.Sub(began).Seconds()
}

// Alarm is something that happened although there was no fault.
type Alarm struct {
	// At is when, by the clock of the node that said it first; the zero time if
	// it did not say when.
	At time.Time `json:"at,omitzero"`
	// What happened to whom.
	What string `json:"what"`
	// StallMS is the longest stall that it is beside, 0 without one.
	StallMS float64 `json:"stall_ms,omitempty"`
}

// String says what happened, and whether the machine stood still meanwhile.
func (a Alarm) String() string {
	if a.StallMS == 0 {
		return a.What
	}
	return a.What + " (beside a stall of " + strconv.FormatFloat(a.StallMS, 'f', 1, 64) + " ms)"
}

// compare finds the stall that each alarm is beside, and tells of how many
// there is one.
func (s *Stalls) compare(alarms []Alarm, reach time.Duration) (beside int) {
	for i := range alarms {
		a := &alarms[i]
		if a.At.IsZero() {
			continue
		}
		if a.StallMS = s.beside(a.At, reach); a.StallMS > 0 {
			beside++
		}
	}
	return beside
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// stolen reads the sum from the kernel; 0 where it is not told.
func stolen() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	return parseStolen(string(text))
}

func parseStolen(stat string) time.Duration {
	line, _, _ := strings.Cut(stat, "\n")
	const steal = 8 // cpu user nice system idle iowait irq softirq steal
	fields := strings.Fields(line)
	if len(fields) <= steal {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[steal], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
