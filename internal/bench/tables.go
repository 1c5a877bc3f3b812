package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Table is one table of the report.
type Table struct {
	Title  string
	Note   string
	Header []string
	Rows   [][]string
}

const labsNote = "Labs: how many of this system were measured side by side; 1 is alone."

// Tables are what people read of the results.
func (r *Results) Tables() []Table {
	var list []Table
	sizes := r.sizes()
	for _, n := range sizes {
		if t := r.failoverTable(n); len(t.Rows) > 0 {
			list = append(list, t)
		}
	}
	for _, n := range sizes {
		if t := r.ratioTable(n); len(t.Rows) > 0 {
			list = append(list, t)
		}
	}
	for _, t := range []Table{r.costTable(), r.cutTable(), r.skippedTable()} {
		if len(t.Rows) > 0 {
			list = append(list, t)
		}
	}
	return list
}

func (r *Results) sizes() []int {
	var list []int
	for _, f := range r.Failover {
		if !slices.Contains(list, f.Hosts) {
			list = append(list, f.Hosts)
		}
	}
	slices.Sort(list)
	return list
}

// failover finds the case, nil if it was not measured.
func (r *Results) failover(system string, hosts int, fault string) *Failover {
	for i, f := range r.Failover {
		if f.System == system && f.Hosts == hosts && f.Fault == fault {
			return &r.Failover[i]
		}
	}
	return nil
}

// faults are those that were measured, in their order.
func (r *Results) faults() []Fault {
	var list []Fault
	for _, f := range Faults {
		if slices.ContainsFunc(r.Failover, func(m Failover) bool { return m.Fault == f.Name }) {
			list = append(list, f)
		}
	}
	return list
}

func (r *Results) failoverTable(hosts int) Table {
	t := Table{
		Title: fmt.Sprintf("Failover, %d hosts", hosts),
		Note: "Milliseconds from the fault until the first survivor knows the new leader, and until all know: median / 90 % / worst, " +
			"number of trials. corosync and Serf have no leader; theirs is the news that the member is gone. " + labsNote,
		Header: []string{"system"},
	}
	for _, f := range r.faults() {
		t.Header = append(t.Header, f.Name+": first", "all", "n")
	}
	t.Header = append(t.Header, "labs")
	for _, s := range Systems {
		row, any, labs := []string{s.Title()}, false, 0
		for _, f := range r.faults() {
			m := r.failover(s.ID, hosts, f.Name)
			if m == nil || len(m.First) == 0 && len(m.Failed) == 0 {
				row = append(row, "–", "–", "–")
				continue
			}
			any, labs = true, max(labs, m.Labs)
			n := strconv.Itoa(len(m.First))
			if len(m.Failed) > 0 {
				n += fmt.Sprintf(" (+%d failed)", len(m.Failed))
			}
			row = append(row, m.First.figures(), m.All.figures(), n)
		}
		if any {
			t.Rows = append(t.Rows, append(row, strconv.Itoa(labs)))
		}
	}
	return t
}

// Title names a system with its setting.
func (s System) Title() string { return s.Name + ", " + s.Setting }

func (s Sample) figures() string {
	if len(s) == 0 {
		return "–"
	}
	sum := s.Summarize()
	return figure(sum.Median) + " / " + figure(sum.P90) + " / " + figure(sum.Max)
}

// figure prints three digits or so.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
}

// ratioTable compares medians of "first" with those of each of ARC's profiles.
func (r *Results) ratioTable(hosts int) Table {
	t := Table{
		Title:  fmt.Sprintf("How many times as long as ARC, %d hosts", hosts),
		Note:   "The median until the first survivor knows, divided by that of ARC's profile under the same fault in the same run.",
		Header: []string{"system"},
	}
	var ours []System
	for _, s := range Choose([]string{"arc"}) {
		if slices.ContainsFunc(r.Failover, func(m Failover) bool { return m.System == s.ID && m.Hosts == hosts && len(m.First) > 0 }) {
			ours = append(ours, s)
		}
	}
	for _, our := range ours {
		for _, f := range r.faults() {
			_, profile, _ := strings.Cut(our.ID, "/")
			t.Header = append(t.Header, profile+", "+f.Name)
		}
	}
	for _, s := range Systems {
		if s.Name == "ARC" {
			continue
		}
		row, any := []string{s.Title()}, false
		for _, our := range ours {
			for _, f := range r.faults() {
				a, b := r.failover(our.ID, hosts, f.Name), r.failover(s.ID, hosts, f.Name)
				if a == nil || b == nil || len(a.First) == 0 || len(b.First) == 0 {
					row = append(row, "–")
					continue
				}
				any = true
				row = append(row, figure(b.First.Summarize().Median/a.First.Summarize().Median)+" ×")
			}
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func (r *Results) costTable() Table {
	t := Table{
		Title: "At rest",
		Note: "Measured alone. Processor seconds a minute are of all daemons together; the other figures are of one node, on average and of the busiest. " +
			"Begun: how often somebody began to lead, or to claim it again, although nothing happened.",
		Header: []string{"system", "hosts", "CPU s/min", "% of a core per node", "bytes/s sent", "busiest", "MiB resident", "largest", "begun"},
	}
	for _, s := range Systems {
		for _, c := range r.Costs {
			if c.System != s.ID {
				continue
			}
			t.Rows = append(t.Rows, []string{
				s.Title(), strconv.Itoa(c.Hosts), figure(c.CPUPerMinute), figure(c.CPUPerMinute / 60 * 100 / float64(c.Hosts)),
				figure(c.SentPerNode), figure(c.SentMost), figure(c.ResidentPerNode / (1 << 20)), figure(c.ResidentMost / (1 << 20)), strconv.Itoa(c.Changes),
			})
		}
	}
	return t
}

func (r *Results) cutTable() Table {
	t := Table{
		Title: fmt.Sprintf("The leader is cut off with a minority, 2 | 3 of %d hosts", cutHosts),
		Note:  "Milliseconds, median / 90 % / worst: how long two acted as leaders, when the majority knew its own, how long the cut lasted. " + labsNote,
		Header: []string{
			"system", "two leaders", "new leader", "cut", "n", "labs",
		},
	}
	for _, s := range Systems {
		for _, c := range r.Cuts {
			if c.System != s.ID || len(c.Both) == 0 && len(c.Failed) == 0 {
				continue
			}
			n := strconv.Itoa(len(c.Both))
			if len(c.Failed) > 0 {
				n += fmt.Sprintf(" (+%d failed)", len(c.Failed))
			}
			t.Rows = append(t.Rows, []string{s.Title(), c.Both.figures(), c.New.figures(), c.CutFor.figures(), n, strconv.Itoa(c.Labs)})
		}
	}
	return t
}

func (r *Results) skippedTable() Table {
	t := Table{Title: "Not measured", Header: []string{"system", "what", "why"}}
	for _, s := range r.Skipped {
		why, _, _ := strings.Cut(s.Why, "\n")
		t.Rows = append(t.Rows, []string{s.System, s.What, why})
	}
	return t
}

// Heading says where and when the run was.
func (r *Results) Heading() string {
	var programs []string
	for name, version := range r.Programs {
		programs = append(programs, name+" ("+version+")")
	}
	slices.Sort(programs)
	return fmt.Sprintf("%s, %d cores, Linux %s, load average before %.2f, took %v.\n%s.",
		r.Began.Format(time.RFC3339), r.Machine.Cores, r.Machine.Kernel, r.Machine.LoadBefore,
		(time.Duration(r.TookSeconds) * time.Second), strings.Join(programs, "; "))
}

// WriteText prints the report for a terminal.
func (r *Results) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n", r.Heading()); err != nil {
		return err
	}
	for _, t := range r.Tables() {
		if _, err := fmt.Fprintf(w, "\n%s\n", strings.ToUpper(t.Title)); err != nil {
			return err
		}
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.Header}, t.Rows...) {
			if _, err := fmt.Fprintln(tw, strings.Join(row, "\t")); err != nil {
				return err
			}
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		if t.Note != "" {
			if _, err := fmt.Fprintf(w, "(%s)\n", t.Note); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteMarkdown prints the report for a page.
func (r *Results) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# ARC and others\n\n%s\n", r.Heading())
	for _, t := range r.Tables() {
		fmt.Fprintf(&b, "\n## %s\n\n", t.Title)
		if t.Note != "" {
			fmt.Fprintf(&b, "%s\n\n", t.Note)
		}
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(t.Header, " | "), strings.Repeat("---|", len(t.Header)))
		for _, row := range t.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = strings.ReplaceAll(cell, "|", "\\|")
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
