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
	corosyncSystem("126ms", 126*time.Millisecond), // the lowest that its own rules allow
	corosyncSystem("default", corosyncDefault),
	etcdSystem("10-50", 10*time.Millisecond, 50*time.Millisecond), // the lowest that rests without elections
	etcdSystem("default", 100*time.Millisecond, time.Second),
	serfSystem("local"),
	serfSystem("lan"), // its default
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
