package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

var contractJSON = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// printJSON prints one value as a line. protojson puts in blanks at random, so
// that nobody relies on its bytes; ours are a contract and stay the same.
func (f *factory) printJSON(v any) error {
	marshal := json.Marshal
	switch m := v.(type) {
	case *arcv1.Event:
		marshal = func(any) ([]byte, error) { return eventJSON(m) }
	case proto.Message:
		marshal = func(any) ([]byte, error) { return contractJSON.Marshal(m) }
	}
	loose, err := marshal(v)
	if err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, loose); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	line.WriteByte('\n')
	_, err = f.out.Write(foreign.JSON(line.Bytes()))
	return err
}

// print writes an answer as JSON, or as what table makes of it.
func (f *factory) print(v any, table func(w io.Writer)) error {
	if f.json {
		return f.printJSON(v)
	}
	var text bytes.Buffer
	table(&text)
	_, err := f.lines().Write(text.Bytes())
	return err
}

// lines is where text for people goes. Names, addresses and reasons in it come
// from other machines.
func (f *factory) lines() io.Writer { return foreign.Writer(f.out) }

// line prints one line, whatever is in the values.
func line(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintln(w, foreign.Text(fmt.Sprintf(format, args...))) // w is memory
}

// rows prints a table with a header. No value breaks a row.
func rows(w io.Writer, header string, lines [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(header, " ", "\t"))
	for _, cells := range lines {
		for i, c := range cells {
			cells[i] = foreign.Text(c)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	_ = tw.Flush() // w is memory
}

// when prints a time: how long ago on a terminal, RFC 3339 otherwise.
func (f *factory) when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	if !f.terminal {
		return t.AsTime().Format(time.RFC3339Nano)
	}
	return ago(f.now().Sub(t.AsTime()))
}

func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "just now"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s ago"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h ago"
	default:
		return strconv.Itoa(int(d.Hours()/24)) + " days ago"
	}
}

// millis prints milliseconds for people: 4.6 ms, 1.25 s.
func millis(ms float64) string {
	switch {
	case ms <= 0:
		return "-"
	case ms < 1000:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	default:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + " s"
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// or is s, or "-" in place of nothing.
func or(s string) string { return cmp.Or(s, "-") }
