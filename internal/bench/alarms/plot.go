package alarms

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/arc-ring/arc/internal/bench/picture"
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

// Plot draws false alarms per hour over detection time, a picture per load and
// mode, a line per interval.
func (r *Curves) Plot(path string) error {
	panels := r.panels()
	if len(panels) == 0 {
		return nil
	}
	box := r.box()
	const columns = 2
	rows := (len(panels) + columns - 1) / columns
	plots := make([][]*plot.Plot, rows)
	for i := range plots {
		plots[i] = make([]*plot.Plot, columns)
	}
	for i, cases := range panels {
		p, err := panel(cases, box)
		if err != nil {
			return fmt.Errorf("draw %s: %w", path, err)
		}
		plots[i/columns][i%columns] = p
	}
	canvas := vgsvg.New(columns*12*vg.Centimeter, vg.Length(rows)*9*vg.Centimeter)
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Centimeter, PadY: vg.Centimeter, PadTop: vg.Points(4), PadRight: vg.Points(12), PadBottom: vg.Points(4)}
	for i, row := range plot.Align(plots, tiles, draw.New(canvas)) {
		for k, c := range row {
			if plots[i][k] != nil {
				plots[i][k].Draw(c)
			}
		}
	}
	return picture.Save(path, canvas)
}

// drawn are the points with alarms, and the first one without: it is drawn
// below what one alarm in the measured time would be.
func (c *Case) drawn() (seen, none plotter.XYs) {
	for _, p := range c.Points {
		x := float64(p.DetectionMS)
		if p.Alarms == 0 {
			return seen, plotter.XYs{{X: x, Y: c.PerHour(1) / 3}}
		}
		seen = append(seen, plotter.XY{X: x, Y: c.PerHour(p.Alarms)})
	}
	return seen, nil
}

// box holds the axes of all panels, in whole powers of ten upwards.
type box struct{ left, right, low, high float64 }

func (r *Curves) box() box {
	b := box{math.Inf(1), 0, math.Inf(1), 0}
	for _, c := range r.Cases {
		seen, none := c.drawn()
		for _, p := range append(seen, none...) {
			b.left, b.right = min(b.left, p.X), max(b.right, p.X)
			b.low, b.high = min(b.low, p.Y), max(b.high, p.Y, c.PerHour(3))
		}
	}
	return box{b.left / 1.2, max(b.right, 100) * 1.2, power(b.low, math.Floor), power(b.high, math.Ceil)}
}

func power(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

func panel(cases []Case, b box) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = loadName(cases[0].Load)
	if cases[0].Realtime {
		p.Title.Text += ", --realtime"
	}
	p.X.Label.Text = "ms until a silent leader is noticed"
	p.Y.Label.Text = "false alarms per hour"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = b.left, b.right, b.low, b.high
	p.Add(plotter.NewGrid())
	for i, c := range cases {
		ink := picture.Inks[i%len(picture.Inks)]
		seen, none := c.drawn()
		line, err := plotter.NewLine(append(slices.Clone(seen), none...))
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = ink, vg.Points(1.5)
		p.Add(line)
		for _, mark := range []struct {
			at    plotter.XYs
			shape draw.GlyphDrawer
		}{{seen, draw.CircleGlyph{}}, {none, draw.TriangleGlyph{}}} {
			glyphs, err := plotter.NewScatter(mark.at)
			if err != nil {
				continue // there are none
			}
			glyphs.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: vg.Points(2.5), Shape: mark.shape}
			p.Add(glyphs)
		}
		p.Legend.Add(fmt.Sprintf("%d ms", c.IntervalMS), line)
	}
	p.Legend.Add("none in the time measured", &plotter.Scatter{GlyphStyle: draw.GlyphStyle{Color: color.Gray{0x60}, Radius: vg.Points(2.5), Shape: draw.TriangleGlyph{}}})
	p.Legend.Top = true
	return p, nil
}
