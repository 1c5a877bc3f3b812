// Command alarmbench measures false alarms of ARC on this machine; scripts/alarms
// builds and runs it. It decides how much is measured, prints progress to stderr
// and tables to stdout, and writes results, tables and a picture into one
// directory. Package internal/bench/alarms decides what is measured, and how. The
// machine may not be quiet: the command only reports the load that it found.
package main
