package bench

import (
	"strings"
	"time"
)

// Systems are all that can be measured, in the order of the tables.
var Systems = []System{
	arcSystem("realtime", 10*time.Second),
	arcSystem("fast", 10*time.Second),
	arcSystem("lan", 15*time.Second),
	keepalivedSystem("10ms", 10*time.Millisecond), // its minimum
	keepalivedSystem("1s", time.Second),           // its default
}

// Choose returns the systems that are meant, all if none is named.
func Choose(only []string) []System {
	var list []System
	for _, s := range Systems {
		name, _, _ := strings.Cut(s.ID, "/")
		chosen := len(only) == 0
		for _, o := range only {
			chosen = chosen || o == s.ID || o == name
		}
		if chosen {
			list = append(list, s)
		}
	}
	return list
}
