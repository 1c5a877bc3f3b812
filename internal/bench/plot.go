package bench

import (
	"fmt"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// inks are the faults' colours, apart from each other for all eyes.
var inks = []color.RGBA{{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0x00, 0x9e, 0x73, 0xff}}

// Plot draws every trial's time until the first survivor knew, a picture per
// number of hosts side by side, on one logarithmic axis.
func (r *Results) Plot(path string) error {
	sizes := r.sizes()
	if len(sizes) == 0 {
		return nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, f := range r.Failover {
		for _, v := range f.First {
			low, high = min(low, v), max(high, v)
		}
	}
	if math.IsInf(low, 1) {
		return nil // nothing but failures
	}
	low, high = math.Pow(10, math.Floor(math.Log10(max(low, 0.01)))), math.Pow(10, math.Ceil(math.Log10(high)))
	plots := [][]*plot.Plot{make([]*plot.Plot, len(sizes))}
	rows := 0
	for i, n := range sizes {
		p, count, err := r.panel(n, low, high)
		if err != nil {
			return fmt.Errorf("draw %s: %w", path, err)
		}
		plots[0][i] = p
		rows = max(rows, count)
	}
	canvas := vgsvg.New(vg.Length(len(sizes))*13*vg.Centimeter, vg.Length(rows+4)*0.9*vg.Centimeter)
	tiles := draw.Tiles{Rows: 1, Cols: len(sizes), PadX: vg.Centimeter, PadTop: vg.Points(4), PadRight: vg.Points(12)}
	for i, c := range plot.Align(plots, tiles, draw.New(canvas))[0] {
		plots[0][i].Draw(c)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Close()
}

// panel is the picture of one number of hosts: a line per system, a dot per
// trial, a bar at the median.
func (r *Results) panel(hosts int, low, high float64) (*plot.Plot, int, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%d hosts", hosts)
	p.X.Label.Text = "ms from the fault until a survivor knows the new leader"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max = low, high
	p.Add(plotter.NewGrid())

	var names []string
	for i := range Systems {
		s := Systems[len(Systems)-1-i] // the first one on top
		at, drawn := float64(len(names)), false
		for k, f := range Faults {
			m := r.failover(s.ID, hosts, f.Name)
			if m == nil || len(m.First) == 0 {
				continue
			}
			drawn = true
			y := at + 0.22*float64(1-k)
			if err := dots(p, m.First, y, inks[k]); err != nil {
				return nil, 0, err
			}
		}
		if drawn {
			names = append(names, s.Title())
		}
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(names))-0.4
	for k, f := range Faults {
		if !hasFault(r.faults(), f.Name) {
			continue
		}
		glyph := &plotter.Scatter{GlyphStyle: draw.GlyphStyle{Color: inks[k], Radius: vg.Points(2.5), Shape: draw.CircleGlyph{}}}
		p.Legend.Add(f.What, glyph)
	}
	p.Legend.Top = true
	return p, len(names), nil
}

func hasFault(list []Fault, name string) bool {
	for _, f := range list {
		if f.Name == name {
			return true
		}
	}
	return false
}

func dots(p *plot.Plot, s Sample, y float64, ink color.RGBA) error {
	points := make(plotter.XYs, len(s))
	for i, v := range s {
		points[i] = plotter.XY{X: v, Y: y}
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: vg.Points(1.6), Shape: draw.CircleGlyph{}}
	median := s.Summarize().Median
	bar, err := plotter.NewLine(plotter.XYs{{X: median, Y: y - 0.1}, {X: median, Y: y + 0.1}})
	if err != nil {
		return err
	}
	bar.Width, bar.Color = vg.Points(2), ink
	p.Add(scatter, bar)
	return nil
}
