package bench

import (
	"math"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for name, c := range map[string]struct {
		sample Sample
		want   Summary
	}{
		"nothing": {nil, Summary{}},
		"one":     {Sample{7}, Summary{N: 1, Median: 7, P90: 7, Max: 7}},
		"even":    {Sample{4, 1, 3, 2}, Summary{N: 4, Median: 2.5, P90: 3.7, Max: 4}},
		"odd":     {Sample{5, 1, 3, 2, 4}, Summary{N: 5, Median: 3, P90: 4.6, Max: 5}},
		"eleven":  {Sample{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, Summary{N: 11, Median: 5, P90: 9, Max: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.sample)
			got := c.sample.Summarize()
			if got.N != c.want.N || !near(got.Median, c.want.Median) || !near(got.P90, c.want.P90) || !near(got.Max, c.want.Max) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if !slices.Equal(before, c.sample) {
				t.Error("the sample was sorted in place")
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
