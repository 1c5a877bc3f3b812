// Command arc is ARC's one binary: the coordinator and its monitor, the
// commands that look at a ring and change it, and a whole ring on one machine
// for trying it out.
//
// It decides how options become values, how answers are printed and which exit
// code an error has. The packages that it calls decide everything else. The JSON
// that it prints is the protojson of what the coordinator answered.
package main
