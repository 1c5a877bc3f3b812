package alarms

import (
	"fmt"
	"slices"

	"github.com/arc-ring/arc/internal/bench/report"
)

// panels are the cases that share a picture: a load, with or without
// --realtime, in the order in which they were measured.
func (r *Curves) panels() [][]Case {
	var list [][]Case
	for _, c := range r.Cases {
		i := slices.IndexFunc(list, func(p []Case) bool { return p[0].Load == c.Load && p[0].Realtime == c.Realtime })
		if i < 0 {
			list = append(list, nil)
			i = len(list) - 1
		}
		list[i] = append(list[i], c)
	}
	return list
}

// Picture shows false alarms per hour over detection time: a panel for each load
// and mode, a line for each interval.
func (r *Curves) Picture() report.Picture {
	p := report.Picture{Columns: 2, X: "ms until a silent leader is noticed", Y: "false alarms per hour"}
	for _, cases := range r.panels() {
		panel := report.Panel{Title: cases[0].conditions()}
		for i, c := range cases {
			seen, none := c.drawn()
			panel.Sets = append(panel.Sets,
				report.Set{Name: fmt.Sprintf("%d ms", c.IntervalMS), Ink: i, Shape: report.Line, Points: slices.Concat(seen, none)},
				report.Set{Ink: i, Shape: report.Dot, Points: seen},
				report.Set{Ink: i, Shape: report.Triangle, Points: none})
		}
		panel.Sets = append(panel.Sets, report.Set{Name: "none in the time measured", Ink: report.Inks - 1, Shape: report.Triangle})
		p.Panels = append(p.Panels, panel)
	}
	return p
}

// drawn are the points with alarms, and the first one without: it is drawn
// below what one alarm in the measured time would be.
func (c *Case) drawn() (seen, none []report.Point) {
	for _, p := range c.Points {
		x := float64(p.DetectionMS)
		if p.Alarms == 0 {
			return seen, []report.Point{{X: x, Y: c.PerHour(1) / 3}}
		}
		seen = append(seen, report.Point{X: x, Y: c.PerHour(p.Alarms)})
	}
	return seen, nil
}
