// Command arc is ARC's one binary: the coordinator and its monitor, the
// commands that look at a ring and change it, and a whole ring on one machine
// for trying it out.
//
// It decides how options become values, how answers are printed and which exit
// code an error has; everything else is decided by the packages it calls. The
// JSON that it prints is the protojson of what the coordinator answered.
package main
