// Package report is how both benchmarks present what they measured: the head that
// all results begin with, tables for a terminal and for a page, pictures, and the
// files of a run. It decides nothing about what is measured, and knows none of it.
//
// Nothing in it may be called by two goroutines at a time.
package report
