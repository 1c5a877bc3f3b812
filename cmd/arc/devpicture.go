package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// eventsShown bounds how many events a picture has. One whose terminal does not
	// say its size has eventsUnmeasured.
	eventsShown      = 64
	eventsUnmeasured = 10
	// eventLines is how many lines an event has at most.
	eventLines = 2
	// leastEventLines is how many lines the events have before anything else is left
	// out for them.
	leastEventLines = 2 * eventLines
	// indent is that of an event's second line.
	indent = 4
)

// draw paints the terminal again.
func (v *devView) draw(ctx context.Context) error {
	if !v.redraws() {
		return nil
	}
	v.ask(ctx)
	cols, rows := v.f.size()
	lines := v.picture(cols, rows)
	// Home, and no wrapping of long lines; each line is cleared before it is
	// written, and what is below the last one. A line feed at the bottom would move
	// the first line out of sight.
	screen := "\x1b[?7l\x1b[H\x1b[K" + strings.Join(lines, "\n\x1b[K")
	if rows == 0 || len(lines) < rows {
		screen += "\n\x1b[J"
	}
	_, err := io.WriteString(v.f.out, screen+"\x1b[?7h")
	return err
}

// picture returns the lines of the live picture: none is wider than cols, and there
// are at most rows. 0 is without bound.
func (v *devView) picture(cols, rows int) []string {
	head := []string{
		fmt.Sprintf("ring %s of %s below %s, Ctrl-C ends it", v.r.Cluster(), devring.Count(len(v.r.Nodes()), "node"), v.r.Dir()),
		"",
		devring.Picture(v.ring),
		fmt.Sprintf("leader %s*  next %s+  token %d  epoch %d", or(v.ring.GetLeader().GetName()), or(v.ring.GetHeir()), v.ring.GetTerm(), v.ring.GetEpoch()),
		"",
	}
	table := v.table(cols)
	caption, foot := []string{"", "last events"}, []string{""}
	for _, text := range v.hints() {
		foot = append(foot, wrap(text, cols, 0, 0)...)
	}
	space := eventsUnmeasured
	if rows > 0 {
		left := func() int { return rows - len(head) - len(table) - len(caption) - len(foot) }
		if left() < leastEventLines {
			head, caption, foot = dense(head), dense(caption), dense(foot)
		}
		if n := min(leastEventLines-left(), len(table)-2); n > 0 {
			rest := len(table) - 1 - n
			table = append(table[:rest], fmt.Sprintf("… and %d more nodes", n+1))
		}
		space = max(left(), 0)
	}
	lines := slices.Concat(head, table, caption, v.happened(cols, space), foot)
	if rows > 0 && len(lines) > rows {
		lines = lines[:rows]
	}
	for i, l := range lines {
		lines[i] = short(foreign.Text(l), cols)
	}
	return lines
}

// dense leaves out the blank lines.
func dense(lines []string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

// hints say how to look at a node, how to kill it, and how it comes back.
func (v *devView) hints() []string {
	var hints []string
	if running := v.running(); len(running) > 0 {
		n := running[0]
		hints = append(hints, fmt.Sprintf("look   arc --addr %s status", n.Addr()), fmt.Sprintf("kill   kill -9 %d, which is %s", n.PID(), n.Name()))
	}
	return append(hints, "back   "+v.comesBack())
}

// happened returns the newest events that fit into so many lines, the newest last.
// Without a width each has one line.
func (v *devView) happened(cols, space int) []string {
	var lines []string
	newest := v.said[max(len(v.said)-eventsShown, 0):]
	for _, h := range slices.Backward(newest) {
		if len(lines) >= space {
			break
		}
		text := fmt.Sprintf("%s  %-15s  %s  %s", h.at.Format("15:04:05.000Z"), h.kind, or(h.node), sayers(h.by))
		if h.text != "" {
			text += ": " + h.text
		}
		lines = slices.Concat(wrap(foreign.Text(text), cols, indent, min(eventLines, space-len(lines))), lines)
	}
	return lines
}

// sayers names up to three nodes.
func sayers(by []string) string {
	const most = 3
	by = slices.Sorted(slices.Values(by))
	if len(by) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(by[:most-1], ","), len(by)-most+1)
	}
	return strings.Join(by, ",")
}

// essence is what an event says beyond its head, with what matters first: it may be
// cut.
func essence(ev *arcv1.Event) string {
	fields, err := eventDetail(ev)
	if err != nil {
		return err.Error()
	}
	noise := []string{"id", "name", "incarnation", "since", "certain_gap_ms", "interruptions", "addresses", "phases"}
	why := fields["why"]
	maps.DeleteFunc(fields, func(key string, value any) bool {
		return slices.Contains(noise, key) || (key == "exit" || key == "evidence") && value == why
	})
	var parts []string
	if _, ok := fields["term"]; ok {
		parts = append(parts, fmt.Sprintf("token %d", ev.GetTerm()))
		delete(fields, "term")
	}
	first := []string{"why", "exit", "evidence", "by", "after", "seen_by", "gap_ms"}
	for _, key := range slices.Concat(first, slices.Sorted(maps.Keys(fields))) {
		value := fields[key]
		delete(fields, key) // it is said once
		switch text := plain(value); {
		case text == "", text == "0", value == false: // what it is not goes without saying
		case value == true:
			parts = append(parts, key)
		case key == "why", key == "exit":
			parts = append(parts, fmt.Sprint(value))
		default:
			parts = append(parts, key+"="+text)
		}
	}
	if p := cmp.Or(ev.GetLeaderDeclared().GetPhases(), ev.GetClaimGained().GetPhases()); p != nil {
		parts = append(parts, "phases "+phases(p))
	}
	return strings.Join(parts, "  ")
}

// wrap breaks a text into lines of at most cols characters, at blanks where that is
// possible, the second and later ones indented. Of more than most lines the rest is
// left out. Of both numbers 0 is without bound.
func wrap(text string, cols, indent, most int) []string {
	var lines []string
	for left := []rune(text); ; {
		first := strings.Repeat(" ", min(len(lines), 1)*indent)
		room := max(cols-len(first), 1)
		if cols == 0 || len(left) <= room || len(lines)+1 == most {
			return append(lines, short(first+string(left), cols))
		}
		end, next := room, room
		for i := room; i > room/2; i-- {
			if left[i] == ' ' {
				end, next = i, i+1
				break
			}
		}
		lines = append(lines, first+strings.TrimRight(string(left[:end]), " "))
		left = []rune(strings.TrimLeft(string(left[next:]), " "))
	}
}

// short cuts a line that is longer than cols characters, if cols is not 0.
func short(s string, cols int) string {
	if r := []rune(s); cols > 0 && len(r) > cols {
		return string(r[:cols-1]) + "…"
	}
	return s
}

// table returns the nodes, one a line, below a header. Where there is no room for
// all addresses there are none.
func (v *devView) table(cols int) []string {
	members := v.ring.GetMembers()
	var cells [][]string
	for _, n := range v.r.Nodes() {
		monitor := "-"
		if pid, err := n.MonitorPID(); err == nil && n.Running() {
			monitor = fmt.Sprint(pid)
		}
		c := []string{n.Name(), "-", "-", "-", "-", "not a member", fmt.Sprint(n.PID()), monitor, n.Addr()}
		if i := slices.IndexFunc(members, func(m *arcv1.MemberStatus) bool { return m.GetName() == n.Name() }); i >= 0 {
			m := members[i]
			c[1], c[2], c[3], c[4], c[5] = number(m.GetId()), or(m.GetMonitors()), voteOf(m), roleOf(v.ring, m), stateOf(m)
		}
		switch {
		case !n.Running():
			c[6] = "dead"
		case v.stopped[n]:
			c[6] += " stopped"
		}
		cells = append(cells, c)
	}
	const header, addr = "NODE ID MONITORS VOTE ROLE STATE PID MONITOR-PID", " ADDR"
	lines := tableLines(header+addr, cells)
	if cols > 0 && slices.ContainsFunc(lines, func(l string) bool { return len([]rune(l)) > cols }) {
		for i := range cells {
			cells[i] = cells[i][:len(cells[i])-1]
		}
		lines = tableLines(header, cells)
	}
	return lines
}

func tableLines(header string, cells [][]string) []string {
	var b strings.Builder
	rows(&b, header, cells)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
