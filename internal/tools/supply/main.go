// Command supply checks what ARC is built from, and writes it down:
//
//	supply holes PAGE <JSON      the holes that govulncheck found are those that PAGE lists
//	supply licences PAGE MODULE...
//	                             each dependency of a build has a licence that we accept, and
//	                             those that PAGE lists have the licence that it says
//	supply bom PAGE PROGRAM      the modules of a program and their licences, as CycloneDX
//
// PAGE is docs/dependencies.md, and MODULE the folder of one of our modules, the
// first of them that of the product. See scripts/supply and scripts/release.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "supply: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "holes":
		return holes(args[1], in, out)
	case len(args) > 2 && args[0] == "licences":
		return licences(args[1], args[2:], out)
	case len(args) == 3 && args[0] == "bom":
		return bom(args[1], args[2], out)
	}
	return errors.New("want: supply holes PAGE, supply licences PAGE MODULE..., or supply bom PAGE PROGRAM")
}
