package report

import (
	"errors"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Picture is a grid of panels with the same axes. The X axis is logarithmic.
type Picture struct {
	Columns int
	X, Y    string // what the axes show
	Panels  []Panel
}

// Panel is one coordinate system.
type Panel struct {
	Title string
	// Rows are the names of 0, 1, ... on the Y axis; without them it is
	// logarithmic.
	Rows []string
	Sets []Set
}

// Set is a set of points that look alike.
type Set struct {
	// Name is that in the legend; none without one.
	Name   string
	Ink    int // which of the Inks, in a circle
	Shape  Shape
	Points []Point
}

// Point is one of a Set.
type Point struct{ X, Y float64 }

// Shape is how a Set is drawn.
type Shape int

// The shapes.
const (
	Dot Shape = iota
	Triangle
	Bar  // upright
	Line // through all the points
)

// Inks is how many colours there are.
const Inks = 6

// inks are apart from each other for all eyes.
var inks = [Inks]color.RGBA{
	{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0x99, 0x80, 0x00, 0xff}, {0x33, 0x33, 0x33, 0xff},
}

// The picture's measures.
const (
	width     = 22 * vg.Centimeter
	rowHeight = 0.6 * vg.Centimeter
	// What a panel with rows needs beside them, and the height of one without.
	rowsExtra   = 1.8 * vg.Centimeter
	plainHeight = 9 * vg.Centimeter
)

// save draws the picture into a file, as SVG. Without a point there is none.
func (p Picture) save(path string) error {
	x, y, any := p.limits()
	if !any {
		return nil
	}
	grid, heights, height := p.grid(x, y)
	canvas := vgsvg.New(width, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	tiles := draw.Tiles{Rows: len(grid), Cols: p.Columns, PadX: vg.Centimeter, PadLeft: vg.Points(4), PadRight: vg.Points(16)}
	top := height
	for i, row := range plot.Align(grid, tiles, whole) {
		for k, c := range row {
			// Aligned in columns, whatever their heights are.
			c.Min.Y, c.Max.Y = top-heights[i], top
			if grid[i][k] != nil {
				grid[i][k].Draw(c)
			}
		}
		top -= heights[i]
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	return errors.Join(err, f.Close())
}

// span is an axis from one power of ten to another.
type span struct{ low, high float64 }

func (s *span) add(v float64) {
	s.low, s.high = min(s.low, math.Pow(10, math.Floor(math.Log10(v)))), max(s.high, math.Pow(10, math.Ceil(math.Log10(v))))
}

// limits are the axes that hold all points, if there are any. No value on them is
// below a hundredth.
func (p Picture) limits() (x, y span, any bool) {
	x, y = span{math.Inf(1), 0}, span{math.Inf(1), 0}
	for _, panel := range p.Panels {
		for _, s := range panel.Sets {
			for _, at := range s.Points {
				x.add(max(at.X, 0.01))
				y.add(max(at.Y, 0.01))
				y.add(max(3*at.Y, 0.01)) // room for the legend
				any = true
			}
		}
	}
	return x, y, any
}

// grid makes the plots, and says how high each row of them is, and all.
func (p Picture) grid(x, y span) (grid [][]*plot.Plot, heights []vg.Length, height vg.Length) {
	for i, panel := range p.Panels {
		if i%p.Columns == 0 {
			grid = append(grid, make([]*plot.Plot, p.Columns))
			h := plainHeight
			if n := len(panel.Rows); n > 0 {
				h = vg.Length(n)*rowHeight + rowsExtra
			}
			heights, height = append(heights, h), height+h
		}
		drawn := panel.plot(x, y)
		drawn.Y.Label.Text = p.Y
		if i >= len(p.Panels)-p.Columns {
			drawn.X.Label.Text = p.X
		}
		grid[len(grid)-1][i%p.Columns] = drawn
	}
	return grid, heights, height
}

func (p Panel) plot(x, y span) *plot.Plot {
	d := plot.New()
	d.Title.Text = p.Title
	d.Title.TextStyle.Font.Size, d.Legend.TextStyle.Font.Size = vg.Points(10), vg.Points(9)
	d.X.Label.TextStyle.Font.Size, d.Y.Label.TextStyle.Font.Size = vg.Points(9), vg.Points(9)
	d.X.Tick.Label.Font.Size, d.Y.Tick.Label.Font.Size = vg.Points(8), vg.Points(8)
	d.X.Scale, d.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	d.Add(plotter.NewGrid())
	if len(p.Rows) > 0 {
		d.NominalY(p.Rows...)
		y = span{-0.5, float64(len(p.Rows)) - 0.5}
	} else {
		d.Y.Scale, d.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	for _, s := range p.Sets {
		drawn, legend := s.plotters()
		d.Add(drawn)
		if s.Name != "" {
			d.Legend.Add(s.Name, legend)
		}
	}
	d.Legend.Top = true
	d.X.Min, d.X.Max, d.Y.Min, d.Y.Max = x.low, x.high, y.low, y.high
	return d
}

// plotters draw a set, and its mark in the legend.
func (s Set) plotters() (plot.Plotter, plot.Thumbnailer) {
	var points plotter.XYs
	for _, p := range s.Points {
		points = append(points, plotter.XY{X: max(p.X, 0.01), Y: p.Y})
	}
	ink := inks[s.Ink%Inks]
	if s.Shape == Line {
		l := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: ink, Width: vg.Points(1.5)}}
		return l, l
	}
	glyph := draw.GlyphStyle{Color: ink, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}
	switch s.Shape {
	case Triangle:
		glyph.Radius, glyph.Shape = vg.Points(2.5), draw.TriangleGlyph{}
	case Bar:
		glyph.Radius, glyph.Shape = vg.Points(3.5), bar{}
	}
	d := &plotter.Scatter{XYs: points, GlyphStyle: glyph}
	return d, d
}

// bar is an upright line.
type bar struct{}

// DrawGlyph draws one.
func (bar) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	c.StrokeLine2(draw.LineStyle{Color: s.Color, Width: vg.Points(1.5)}, at.X, at.Y-s.Radius, at.X, at.Y+s.Radius)
}
