package main

import (
	"fmt"
	"os"
	"regexp"
)

var (
	// | `module` | reason | licence |
	licenceRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .+ \\| (.+) \\|$")
	// | ID | reason |
	holeRow = regexp.MustCompile(`(?m)^\| (GO-\d+-\d+) \| .+ \|$`)
)

// listed returns what the rows of a page say: the first column, and the last one
// if the pattern has it.
func listed(page string, row *regexp.Regexp) (map[string]string, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	rows := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if _, ok := rows[m[1]]; ok {
			return nil, fmt.Errorf("%s lists %s twice", page, m[1])
		}
		rows[m[1]] = m[len(m)-1]
	}
	return rows, nil
}
