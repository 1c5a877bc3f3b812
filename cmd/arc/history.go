package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/config"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newHistoryCmd(f *factory) *cobra.Command {
	var limit string
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Past leaderships: token, name, since when, why, how long the gap was",
		Long: `Prints the leaderships that the ring remembers, the oldest first.

GAP is how long nobody led before the new leader's first claim. It begins when, as
far as the members know that elected the new leader, somebody led for the last
time. "over" means that they had all been restarted, so the gap was longer. A
leader that is cut off may claim for a lease after it was last heard;
certain_gap_ms in the JSON leaves that time out.

EVIDENCE is what spoke against the leader before. "unanswered" means that no
majority answered it. "restarted" means that its process was restarted and the
same member leads again. SEEN-BY is the member whose monitor reported it, with
"certified" the old leader's own. It is the new leader where no monitor was as fast:
the voters had heard nothing for a lease, and it had asked the old leader in vain.

A leader that lost its claim and regained it in the same term has one more line
with the same token. Several such losses in short succession share one line.

PHASES is where the time of the failover went, in milliseconds from the moment at
which the new leader learned of the loss. If silence was the evidence, the silence
before that moment stands first, in brackets. Then follow: its own promise to the
old leader was over, its campaign began, it was elected, its declaration was
committed, it first claimed. "?" stands for what it has not told yet. The JSON has
them in microseconds.`,
		Example: `  arc history
  arc history --limit 5
  arc history -o json | jq '.entries[-1]'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := config.Int(0, 1<<20)(cmp.Or(limit, "0"))
			if err != nil {
				return usagef("--limit: %w", err)
			}
			h, err := call(cmd.Context(), f, with((*client.Client).History, uint32(n)))
			if err != nil {
				return err
			}
			if len(h.GetEntries()) == 0 && !f.json {
				f.note("no leadership is known here")
				return nil
			}
			return f.print(h, func(w io.Writer) { f.historyTable(w, h) })
		},
	}
	cmd.Flags().StringVar(&limit, "limit", "", "print only `N` of the newest; 0, the default, means all that are kept")
	return cmd
}

func (f *factory) historyTable(w io.Writer, h *arcv1.HistoryResponse) {
	var lines [][]string
	for _, e := range h.GetEntries() {
		lines = append(lines, []string{number(e.GetTerm()), e.GetName(), number(e.GetId()), f.when(e.GetSince()), gap(e),
			or(e.GetAfter()), or(e.GetEvidence()), or(e.GetSeenBy()), phases(e.GetPhases()), e.GetWhy()})
		for _, i := range e.GetInterruptions() {
			lines = append(lines, []string{number(e.GetTerm()), e.GetName(), number(e.GetId()), f.when(i.GetSince()), millis(i.GetGapMs()),
				e.GetName(), or(i.GetEvidence()), e.GetName(), "-", interruption(i)})
		}
	}
	rows(w, "TOKEN NAME ID SINCE GAP AFTER EVIDENCE SEEN-BY PHASES WHY", lines)
}

// gap prints how long nobody led.
func gap(e *arcv1.HistoryEntry) string {
	if e.GetGapAtLeast() {
		return "over " + millis(e.GetGapMs())
	}
	return millis(e.GetGapMs())
}

// interruption says why a claim lapsed, and how often in short succession.
func interruption(i *arcv1.Interruption) string {
	text := "lost the claim and regained it: " + i.GetWhy()
	if i.GetTimes() > 1 {
		text += fmt.Sprintf("; %d times, %s together", i.GetTimes(), millis(i.GetTotalMs()))
	}
	return text
}

// phases prints where the time of a failover went, in milliseconds:
// [612] 0/0/1.7/2.9/3.1 ms.
func phases(p *arcv1.Phases) string {
	if p == nil {
		return "-"
	}
	ms := func(us float64) string { return strconv.FormatFloat(us/1000, 'f', decimals(us), 64) }
	steps := []float64{p.GetPromisesEndedUs(), p.GetCampaignUs(), p.GetElectedUs(), p.GetDeclaredUs(), p.GetFirstClaimUs()}
	var b strings.Builder
	if d := p.GetDetectedUs(); d > 0 {
		b.WriteString("[" + ms(d) + "] ")
	}
	last := 0.0
	for i, us := range steps {
		if i > 0 {
			b.WriteByte('/')
		}
		if us < last { // none is before the one it follows: not told yet
			b.WriteByte('?')
			continue
		}
		last = us
		b.WriteString(ms(us))
	}
	return b.String() + " ms"
}

// decimals keeps three digits of what is below a second.
func decimals(us float64) int {
	switch {
	case us == 0 || us >= 100_000:
		return 0
	case us >= 10_000:
		return 1
	default:
		return 2
	}
}
