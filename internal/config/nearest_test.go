package config

import (
	"slices"
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"NAME", "NAME", 0}, {"NAEM", "NAME", 1}, {"NAM", "NAME", 1}, {"NAMEE", "NAME", 1}, {"MAME", "NAME", 1}, {"", "PORT", 4}, {"JOIN", "PORT", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestUnknownVariablesAreFound(t *testing.T) {
	_, flags, _ := newSample()
	flags.Bool("plain", false, "not of a Set")
	known := EnvNames(flags)
	if want := []string{"ARC_BIND", "ARC_JOIN", "ARC_LOG_QUIET", "ARC_NAME", "ARC_PORT", "ARC_WAIT"}; !slices.Equal(known, want) {
		t.Errorf("known are %v, want %v", known, want)
	}
	for in, want := range map[string]string{
		"ARC_NAME=x ARC_PORT=1 HOME=/ ARC=1":    "",
		"ARC_NAEM=x":                            "ARC_NAEM (did you mean ARC_NAME?)",
		"ARC_LOGQUIET=x ARC_LOG_QUIET=true":     "ARC_LOGQUIET (did you mean ARC_LOG_QUIET?)",
		"ARC_ZZZ=x ARC_PROT=1 ARC_":             "ARC_, ARC_PROT (did you mean ARC_PORT?), ARC_ZZZ",
		"ARC_SERVICE_HOST=10.0.0.1 ARC_WAIT=1s": "ARC_SERVICE_HOST",
	} {
		if got := strings.Join(UnknownEnv(strings.Fields(in), known), ", "); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
