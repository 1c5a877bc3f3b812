package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// accepted are the licences that go with ours, by their SPDX names. All of them
// let anybody use, change and pass on the code.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// licences judges the dependencies of all builds of our modules, those of tests too.
// The page has a row for each one in the product's program, and no wrong one. Other
// licences are for what is not in the program: the page has to list them, and what
// it says of a text that is not known a person has read.
func licences(page string, modules []string, out io.Writer) error {
	rows, err := listed(page, licenceRow)
	if err != nil {
		return err
	}
	program, err := dependencies(modules[0], "./cmd/...")
	if err != nil {
		return err
	}
	all := maps.Clone(program)
	for _, m := range modules {
		more, err := dependencies(m, "-test", "./...")
		if err != nil {
			return err
		}
		maps.Copy(all, more)
	}
	var wrong []string
	count := map[string]int{}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		has, err := licenceOf(all[path])
		row, isListed := rows[path]
		switch _, inProgram := program[path]; {
		case errors.Is(err, errUnknown) && isListed && !inProgram:
			has = row
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v", path, err))
		case !slices.Contains(accepted, has) && (inProgram || !isListed):
			wrong = append(wrong, fmt.Sprintf("%s: its licence is %s, want one of %s", path, has, strings.Join(accepted, ", ")))
		case isListed && row != has:
			wrong = append(wrong, fmt.Sprintf("%s: its licence is %s, %s says %s", path, has, page, row))
		case inProgram && !isListed:
			wrong = append(wrong, fmt.Sprintf("%s (%s) is in the program and has no row in %s", path, has, page))
		}
		if has != "" {
			count[has]++
		}
	}
	for path := range rows {
		if _, ok := all[path]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s lists %s, which no build has", page, path))
		}
	}
	fmt.Fprintf(out, "licences of %d modules, %d of them in the program:", len(all), len(program))
	for _, l := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(out, " %d %s;", count[l], l)
	}
	fmt.Fprintln(out)
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

// dependencies returns the foreign modules whose packages a build takes, with their
// folders.
func dependencies(module string, build ...string) (map[string]string, error) {
	const ours = "github.com/arc-ring/arc"
	list := exec.Command("go", append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Dir}}{{end}}"}, build...)...)
	list.Dir, list.Stderr = module, os.Stderr
	lines, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", module, err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(lines)) {
		path, dir, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && path != ours && !strings.HasPrefix(path, ours+"/") {
			found[path] = dir
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("go list in %s found no dependency", module)
	}
	return found, nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.(md|txt))?$`)

// clear is how much of a file, in percent, has to be text of known licences.
const clear = 75

var errUnknown = errors.New("no text of a known licence")

// licenceOf returns the licences in a module's folder, joined by "AND".
func licenceOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	for _, e := range entries {
		if !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		cover := licensecheck.Scan(text)
		if cover.Percent < clear {
			return "", fmt.Errorf("%s is %w, but for %.0f %%: read it", e.Name(), errUnknown, cover.Percent)
		}
		for _, m := range cover.Match {
			found[m.ID] = true
		}
	}
	if len(found) == 0 {
		return "", errors.New("has no licence file")
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), " AND "), nil
}
