package config

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// envPrefix begins the variables of all options.
const envPrefix = "ARC_"

// EnvNames returns the variables of the options of any Set among the flags.
func EnvNames(flags *pflag.FlagSet) []string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Value.(*option); ok {
			names = append(names, EnvName(f.Name))
		}
	})
	return names
}

// UnknownEnv returns what environ, as os.Environ, sets that looks like the
// variable of an option and is none of the known ones, in order. Each is followed
// by the known one that may be meant, if one is near.
func UnknownEnv(environ, known []string) []string {
	var unknown []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) {
			unknown = append(unknown, name+didYouMean(nearest(name, envPrefix, known)))
		}
	}
	slices.Sort(unknown)
	return unknown
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return " (did you mean " + name + "?)"
}

// nearest is the name that a mistyped one stands for, "" if none is near: a third
// of its letters, not counting the prefix that all have, may be wrong.
func nearest(typed, prefix string, names []string) string {
	typed = strings.TrimPrefix(typed, prefix)
	best, least := "", len(typed)/3+1
	for _, name := range names {
		if d := distance(typed, strings.TrimPrefix(name, prefix)); d < least || d == least && best != "" && name < best {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to insert, drop, change or swap with the next one
// that make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
