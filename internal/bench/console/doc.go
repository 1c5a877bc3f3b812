// Package console is what the benchmark programs share towards the person who runs
// them: how a run ends early, lines of progress, and the directory that gets the
// results. It decides nothing about what is measured and knows none of it. Only
// the main packages beside it use it.
package console
