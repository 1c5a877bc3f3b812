// Command arcbench measures ARC against its alternatives, on a lab of namespaces;
// scripts/bench builds and runs it. It decides how much is measured, prints
// progress to stderr and tables to stdout, and writes results, tables and a
// picture into one directory. Package internal/bench decides what is measured, and
// how. The command needs root. The machine may not be quiet: the command only
// reports the load that it found.
package main
