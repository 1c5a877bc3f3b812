package bench

import (
	"fmt"
	"slices"

	"github.com/arc-ring/arc/internal/bench/report"
)

// Picture shows every trial's time until the first survivor knew: a panel for
// each number of hosts, a row for each system, a dot for each trial and a bar at
// the median.
func (r *Results) Picture() report.Picture {
	p := report.Picture{Columns: 1, X: "ms from the fault until the first survivor knows the new leader"}
	for _, n := range r.sizes() {
		if panel := r.panel(n); len(panel.Rows) > 0 {
			p.Panels = append(p.Panels, panel)
		}
	}
	return p
}

func (r *Results) panel(hosts int) report.Panel {
	p := report.Panel{Title: fmt.Sprintf("%d hosts", hosts)}
	dots, bars := make([]report.Set, len(Faults)), make([]report.Set, len(Faults))
	for _, s := range slices.Backward(Systems) { // the first one on top
		drawn := false
		for k, f := range Faults {
			m := r.failover(s.ID, hosts, f.Name)
			if m == nil || len(m.First) == 0 {
				continue
			}
			drawn = true
			y := float64(len(p.Rows)) + 0.18*(float64(len(Faults)-1)/2-float64(k))
			for _, ms := range m.First {
				dots[k].Points = append(dots[k].Points, report.Point{X: ms, Y: y})
			}
			bars[k].Points = append(bars[k].Points, report.Point{X: m.First.Summarize().Median, Y: y})
		}
		if drawn {
			p.Rows = append(p.Rows, s.ID)
		}
	}
	for k, f := range Faults {
		if len(dots[k].Points) > 0 {
			dots[k].Name, dots[k].Ink = f.What, k
			bars[k].Shape, bars[k].Ink = report.Bar, k
			p.Sets = append(p.Sets, dots[k], bars[k])
		}
	}
	return p
}
