// Package picture is what the plots of the benchmarks have in common: their
// colours, and how they become files. It decides nothing about what is drawn.
package picture
