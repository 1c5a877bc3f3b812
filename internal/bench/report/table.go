package report

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table is one table of a report.
type Table struct {
	Title string
	// Note explains the columns, unless empty.
	Note   string
	Header []string
	Rows   [][]string
	// Remarks follow the table, a line each.
	Remarks []string
}

// text is a report for a terminal.
func text(title, heading string, tables []Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", strings.ToUpper(title), heading)
	for _, t := range tables {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(t.Title))
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.Header}, t.Rows...) {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		_ = w.Flush() // into memory
		if t.Note != "" {
			fmt.Fprintf(&b, "(%s)\n", t.Note)
		}
		for _, remark := range t.Remarks {
			fmt.Fprintln(&b, remark)
		}
	}
	return b.String()
}

// markdown is a report for a page.
func markdown(title, heading string, tables []Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", title, heading)
	for _, t := range tables {
		fmt.Fprintf(&b, "\n## %s\n", t.Title)
		if t.Note != "" {
			fmt.Fprintf(&b, "\n%s\n", t.Note)
		}
		fmt.Fprintf(&b, "\n| %s |\n|%s\n", strings.Join(t.Header, " | "), strings.Repeat("---|", len(t.Header)))
		for _, row := range t.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = strings.ReplaceAll(cell, "|", "\\|")
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
		for _, remark := range t.Remarks {
			fmt.Fprintf(&b, "\n%s\n", remark)
		}
	}
	return b.String()
}

// Figure prints three digits or so.
func Figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}
