// Command arcbench measures ARC against what people would pick instead, on a
// lab of namespaces; scripts/bench builds and runs it. It decides how much is
// measured, prints progress to stderr and tables to stdout, and writes results,
// tables and a picture into one directory. What is measured, and how, is decided by
// internal/bench. It needs root, and guarantees nothing about the machine being
// quiet: it only tells the load that it found.
package main
