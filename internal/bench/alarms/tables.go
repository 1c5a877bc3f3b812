package alarms

import (
	"fmt"
	"strconv"

	"github.com/arc-ring/arc/internal/bench/report"
)

// widest is how many misses a table tells about; the results have all.
const widest = 8

// Title is that of the report.
func (r *Curves) Title() string { return fmt.Sprintf("False alarms, %d nodes a ring", r.Nodes) }

// Tables are what people read of the curves.
func (r *Curves) Tables() []report.Table {
	var list []report.Table
	for _, cases := range r.panels() {
		most := 0
		for _, c := range cases {
			most = min(max(most, len(c.Points)), widest)
		}
		t := report.Table{
			Title:  cases[0].conditions(),
			Note:   "False alarms per hour on the leader's link, for so many misses (raw: of a monitor that does not know its own lag).",
			Header: []string{"interval", "seconds"},
		}
		for m := range most {
			t.Header = append(t.Header, fmt.Sprintf("× %d", m+1))
		}
		t.Header = append(t.Header, "clean from", "longest stall, stolen")
		for _, c := range cases {
			row := []string{fmt.Sprintf("%d ms", c.IntervalMS), fmt.Sprintf("%.0f", c.Seconds)}
			for m := range most {
				row = append(row, c.cell(m))
			}
			t.Rows = append(t.Rows, append(row, c.clean(), c.Stalls.String()))
			for _, d := range c.Disturbed {
				t.Remarks = append(t.Remarks, c.name()+": "+d)
			}
		}
		list = append(list, t)
	}
	return list
}

// conditions are those under which the case was measured.
func (c *Case) conditions() string {
	if c.Realtime {
		return loadName(c.Load) + ", --realtime"
	}
	return loadName(c.Load)
}

// cell tells about point i: alarms per hour, and the raw ones.
func (c *Case) cell(i int) string {
	if i >= len(c.Points) {
		return ""
	}
	p := c.Points[i]
	if p.Raw == 0 {
		return "0"
	}
	return fmt.Sprintf("%s (raw %s)", rate(c.PerHour(p.Alarms)), rate(c.PerHour(p.Raw)))
}

// clean says from which detection time on no false alarm was seen.
func (c *Case) clean() string {
	for _, p := range c.Points {
		if p.Alarms == 0 {
			return fmt.Sprintf("%d ms (< %s per hour)", p.DetectionMS, rate(c.PerHour(1)))
		}
	}
	return "–"
}

// String tells about the machine itself.
func (s Stalls) String() string {
	text := fmt.Sprintf("%.1f ms, %.0f ms", s.LongestMS, s.StolenMS)
	if s.Ordinary {
		text += " (ordinary threads)"
	}
	return text
}

func rate(v float64) string {
	if v < 10 && v != 0 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// Title is that of the report.
func (q *Quiet) Title() string { return fmt.Sprintf("Rings left alone, %d nodes each", q.Nodes) }

// alarmsTold is how many alarms of a kind are told, of each ring.
const alarmsTold = 10

// Tables are what people read of what the rings went through.
func (q *Quiet) Tables() []report.Table {
	t := report.Table{
		Title: "False alarms",
		Header: []string{
			"profile", "load", "minutes", "evictions", "leader changes", "suspicions", "claim losses (ms)",
			"of these beside a stall (share of the time)", "longest run of misses (needed)", "longest stall, stolen",
		},
	}
	if q.Together {
		t.Note = "All rings of a load ran at the same time."
	}
	for _, s := range q.Watched {
		t.Rows = append(t.Rows, []string{
			s.Profile, loadName(s.Load), fmt.Sprintf("%.1f", s.Seconds/60),
			strconv.Itoa(len(s.Evictions)), strconv.Itoa(len(s.Leaders)), strconv.Itoa(len(s.Suspicions)), fmt.Sprintf("%d (%.1f)", len(s.Losses), s.LostMS),
			fmt.Sprintf("%d of %d (%s %%)", s.Beside, s.Alarms(), rate(s.BesidePercent)),
			fmt.Sprintf("%d, raw %d (%d)", s.Longest.Counted, s.Longest.Missed, s.Misses), s.Stalls.String(),
		})
		for _, list := range [][]Alarm{s.Evictions, s.Leaders, s.Suspicions, s.Losses} {
			for _, what := range list[:min(len(list), alarmsTold)] {
				t.Remarks = append(t.Remarks, fmt.Sprintf("%s %s: %s", s.Profile, loadName(s.Load), what))
			}
			if more := len(list) - alarmsTold; more > 0 {
				t.Remarks = append(t.Remarks, fmt.Sprintf("%s %s: and %d more", s.Profile, loadName(s.Load), more))
			}
		}
	}
	return []report.Table{t}
}

// Picture is none: what the table tells has no shape.
func (q *Quiet) Picture() report.Picture { return report.Picture{} }
