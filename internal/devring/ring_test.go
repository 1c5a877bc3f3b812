package devring

import (
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []time.Duration
		want time.Duration
	}{{nil, 0}, {[]time.Duration{3}, 3}, {[]time.Duration{9, 1, 5}, 5}, {[]time.Duration{1, 3, 9, 5}, 4}} {
		if got := Median(c.in); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestTooLongRootIsRefused(t *testing.T) {
	_, err := New(Options{Arc: "arc", Dir: "/tmp/" + strings.Repeat("d", 100), Nodes: 1})
	if err == nil || !strings.Contains(err.Error(), "too long by") {
		t.Errorf("got %v", err)
	}
}
