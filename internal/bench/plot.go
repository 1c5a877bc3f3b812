package bench

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

// The picture's measures.
const (
	plotWidth  = 20 * vg.Centimeter
	lineHeight = 0.6 * vg.Centimeter
	// What a panel needs besides its lines, and what the legend needs.
	panelExtra = 1.8 * vg.Centimeter
	legendRoom = 0.9 * vg.Centimeter
)

// Plot draws, as SVG, every trial's time until the first survivor knew: a panel
// per number of hosts, all on one logarithmic axis.
func (r *Results) Plot(path string) error {
	canvas := r.picture()
	if canvas == nil {
		return nil // nothing but failures
	}
	return picture.Save(path, canvas)
}

// picture draws on a new canvas, or returns nil if there is nothing to draw.
func (r *Results) picture() *vgsvg.Canvas {
	low, high := math.Inf(1), math.Inf(-1)
	var sizes []int
	for _, f := range r.Failover {
		for _, v := range f.First {
			low, high = min(low, v), max(high, v)
		}
		if len(f.First) > 0 && !slices.Contains(sizes, f.Hosts) {
			sizes = append(sizes, f.Hosts)
		}
	}
	if len(sizes) == 0 {
		return nil
	}
	slices.Sort(sizes)
	low, high = math.Pow(10, math.Floor(math.Log10(max(low, 0.01)))), math.Pow(10, math.Ceil(math.Log10(high)))

	height := legendRoom
	var panels []*plot.Plot
	var heights []vg.Length
	for i, n := range sizes {
		p, lines := r.panel(n, low, high)
		if i == len(sizes)-1 {
			p.X.Label.Text = "ms from the fault until the first survivor knows the new leader"
		}
		panels = append(panels, p)
		heights = append(heights, vg.Length(lines)*lineHeight+panelExtra)
		height += heights[i]
	}
	canvas := vgsvg.New(plotWidth, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	r.legend(draw.Crop(whole, 0, 0, height-legendRoom, 0))

	// Aligned in one column, whatever their heights are.
	grid := make([][]*plot.Plot, len(panels))
	for i := range panels {
		grid[i] = []*plot.Plot{panels[i]}
	}
	columns := plot.Align(grid, draw.Tiles{Rows: len(panels), Cols: 1, PadRight: vg.Points(16), PadLeft: vg.Points(4)}, whole)
	top := height - legendRoom
	for i, p := range panels {
		c := columns[i][0]
		c.Min.Y, c.Max.Y = top-heights[i], top
		top -= heights[i]
		p.Draw(c)
	}
	return canvas
}

// legend names the colours in one line.
func (r *Results) legend(c draw.Canvas) {
	style := plot.New().Legend.TextStyle
	style.Font.Size = vg.Points(9)
	style.YAlign = draw.YCenter
	at := vg.Point{X: c.Min.X + vg.Centimeter, Y: (c.Min.Y + c.Max.Y) / 2}
	for k, f := range Faults {
		if !slices.ContainsFunc(r.faults(), func(g Fault) bool { return g.Name == f.Name }) {
			continue
		}
		c.DrawGlyph(draw.GlyphStyle{Color: picture.Inks[k], Radius: vg.Points(3), Shape: draw.CircleGlyph{}}, at)
		at.X += vg.Points(7)
		c.FillText(style, at, f.What)
		at.X += style.Width(f.What) + vg.Points(20)
	}
}

// panel is the picture of one number of hosts: a line per system, a dot per
// trial, a bar at the median. It also returns the number of lines.
func (r *Results) panel(hosts int, low, high float64) (*plot.Plot, int) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%d hosts", hosts)
	p.Title.TextStyle.Font.Size = vg.Points(10)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Label.TextStyle.Font.Size, p.X.Tick.Label.Font.Size, p.Y.Tick.Label.Font.Size = vg.Points(9), vg.Points(8), vg.Points(8)
	p.Add(plotter.NewGrid())

	var names []string
	for _, s := range slices.Backward(Systems) { // the first one on top
		drawn := false
		for k, f := range Faults {
			m := r.failover(s.ID, hosts, f.Name)
			if m == nil || len(m.First) == 0 {
				continue
			}
			drawn = true
			p.Add(marks{sample: m.First, y: float64(len(names)) + 0.18*(float64(len(Faults)-1)/2-float64(k)), ink: picture.Inks[k]})
		}
		if drawn {
			names = append(names, s.ID)
		}
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = low, high
	p.Y.Min, p.Y.Max = -0.5, float64(len(names))-0.5
	return p, len(names)
}

// marks draw the trials of one case.
type marks struct {
	sample Sample
	y      float64
	ink    color.RGBA
}

var _ plot.Plotter = marks{}

// Plot draws a dot per trial and a bar at the median.
func (m marks) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	dot := draw.GlyphStyle{Color: m.ink, Radius: vg.Points(1.6), Shape: draw.CircleGlyph{}}
	for _, v := range m.sample {
		c.DrawGlyph(dot, vg.Point{X: x(v), Y: y(m.y)})
	}
	at := x(m.sample.Summarize().Median)
	c.StrokeLine2(draw.LineStyle{Color: m.ink, Width: vg.Points(1.5)}, at, y(m.y)-vg.Points(3.5), at, y(m.y)+vg.Points(3.5))
}
