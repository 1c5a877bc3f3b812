package alarms

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// widest is how many misses a table tells about; the results have all.
const widest = 8

// WriteMarkdown prints the curves as tables for a page.
func (r *Curves) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", &r.Head)
	for _, s := range r.Skipped {
		why, _, _ := strings.Cut(s, "\n")
		fmt.Fprintf(&b, "Skipped: %s.\n", why)
	}
	fmt.Fprintf(&b, "\nFalse alarms per hour on the leader's link, for so many misses (raw: of a monitor that does not know its own lag).\n")
	for _, cases := range r.panels() {
		most := 0
		for _, c := range cases {
			most = min(max(most, len(c.Points)), widest)
		}
		title := loadName(cases[0].Load)
		if cases[0].Realtime {
			title += ", --realtime"
		}
		fmt.Fprintf(&b, "\n### %s\n\n| interval | seconds |", strings.ToUpper(title[:1])+title[1:])
		for m := range most {
			fmt.Fprintf(&b, " × %d |", m+1)
		}
		fmt.Fprintf(&b, " clean from | longest stall, stolen |\n%s\n", strings.Repeat("|---", most+4)+"|")
		for _, c := range cases {
			fmt.Fprintf(&b, "| %d ms | %.0f |", c.IntervalMS, c.Seconds)
			for m := range most {
				fmt.Fprintf(&b, " %s |", c.cell(m))
			}
			fmt.Fprintf(&b, " %s | %s |\n", c.clean(), c.Stalls)
		}
		for _, c := range cases {
			for _, d := range c.Disturbed {
				fmt.Fprintf(&b, "\n%s: %s\n", c.name(), d)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
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

// WriteMarkdown prints what the rings went through.
func (q *Quiet) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", &q.Head)
	if q.Together {
		b.WriteString("All rings of a load ran at the same time.\n")
	}
	b.WriteString("\n| profile | load | minutes | evictions | leader changes | suspicions | claim losses (ms) | of these beside a stall (share of the time) | longest run of misses (needed) | longest stall, stolen |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range q.Watched {
		fmt.Fprintf(&b, "| %s | %s | %.1f | %d | %d | %d | %d (%.1f) | %d of %d (%s %%) | %d, raw %d (%d) | %s |\n", s.Profile, loadName(s.Load), s.Seconds/60,
			len(s.Evictions), len(s.Leaders), len(s.Suspicions), len(s.Losses), s.LostMS, s.Beside, s.Alarms(), rate(s.BesidePercent), s.Longest.Counted, s.Longest.Missed, s.Misses, s.Stalls)
	}
	for _, s := range q.Watched {
		for _, list := range [][]Alarm{s.Evictions, s.Leaders, s.Suspicions, s.Losses} {
			for i, what := range list {
				if i == 10 {
					fmt.Fprintf(&b, "\n%s %s: and %d more\n", s.Profile, loadName(s.Load), len(list)-i)
					break
				}
				fmt.Fprintf(&b, "\n%s %s: %s\n", s.Profile, loadName(s.Load), what)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
