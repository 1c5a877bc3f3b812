package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/arc-ring/arc/internal/bench/report"
)

const labsNote = "Labs: how many of this system were measured side by side; 1 is alone."

// Title is that of the report.
func (r *Results) Title() string { return "ARC and others" }

// Tables are what people read of the results.
func (r *Results) Tables() []report.Table {
	var list []report.Table
	for _, n := range r.sizes() {
		list = append(list, r.failoverTable(n))
	}
	for _, n := range r.sizes() {
		list = append(list, r.ratioTable(n))
	}
	return append(list, r.costTable(), r.cutTable())
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

func (r *Results) failoverTable(hosts int) report.Table {
	t := report.Table{
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
	return report.Figure(sum.Median) + " / " + report.Figure(sum.P90) + " / " + report.Figure(sum.Max)
}

// ratioTable compares medians of "first" with those of each of ARC's profiles.
func (r *Results) ratioTable(hosts int) report.Table {
	t := report.Table{
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
				row = append(row, report.Figure(b.First.Summarize().Median/a.First.Summarize().Median)+" ×")
			}
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func (r *Results) costTable() report.Table {
	t := report.Table{
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
				s.Title(), strconv.Itoa(c.Hosts), report.Figure(c.CPUPerMinute), report.Figure(c.CPUPerMinute / 60 * 100 / float64(c.Hosts)),
				report.Figure(c.SentPerNode), report.Figure(c.SentMost), report.Figure(c.ResidentPerNode / (1 << 20)), report.Figure(c.ResidentMost / (1 << 20)), strconv.Itoa(c.Changes),
			})
		}
	}
	return t
}

func (r *Results) cutTable() report.Table {
	t := report.Table{
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
