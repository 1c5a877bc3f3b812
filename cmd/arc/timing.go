package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/config"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// timingFlags are what `arc timing` takes.
type timingFlags struct {
	profile                 string
	roundTrip, sync, notice string
}

func newTimingCmd(f *factory) *cobra.Command {
	var o timingFlags
	cmd := &cobra.Command{
		Use:   "timing",
		Short: "How long a failover may take with the ring's settings, and why",
		Long: `Adds up, for every kind of fault, how long it takes at most until the next leader
claims, and names the rule behind each part. The sums hold while a majority of
the voters can talk, no message is lost or overtaken, and no process waits for a
processor.

What no setting bounds is assumed: a round trip between two coordinators, a sync
of a disk, and the kernel's notice that a process exited. Change these with
--round-trip, --sync and --notice. To compare, the times of the failovers in the
history are printed below.

Settings that are legal but doubtful are noted on stderr. With --profile no ring
is asked.`,
		Example: `  arc timing
  arc timing --profile realtime
  arc timing --round-trip 200us -o json | jq '.faults[] | {fault, total_ms}'`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.timing(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.profile, "profile", "", "compute for this `PROFILE`, without a ring: "+strings.Join(ring.Profiles, ", "))
	flags.StringVar(&o.roundTrip, "round-trip", "", "assumed round trip, a `DURATION` (default 1ms; 80ms with leases of a second or more)")
	flags.StringVar(&o.sync, "sync", "", "assumed `DURATION` to make a write durable (default 1ms)")
	flags.StringVar(&o.notice, "notice", "", "assumed `DURATION` until the kernel tells a monitor of an exit (default 3ms)")
	return cmd
}

func (f *factory) timing(ctx context.Context, o timingFlags) error {
	var s ring.Settings
	var history []*arcv1.HistoryEntry
	var err error
	if o.profile != "" {
		if s, err = ring.ProfileSettings(o.profile); err != nil {
			return usagef("--profile: %w", err)
		}
	}
	a, err := o.assume(s)
	if err != nil { // before the ring is asked
		return usage(err)
	}
	if o.profile == "" {
		if s, history, err = f.settingsAndHistory(ctx); err != nil {
			return err
		}
		if s == (ring.Settings{}) {
			return fmt.Errorf("the coordinator at %s is in no ring yet, so there are no settings; --profile NAME computes without a ring", f.addr)
		}
		a, _ = o.assume(s) // what was given was understood above
	}
	t := newTiming(s, a, history)
	for _, note := range t.Notes {
		f.note("note: %s", note)
	}
	return f.print(t, t.table)
}

// settingsAndHistory asks the ring.
func (f *factory) settingsAndHistory(ctx context.Context) (s ring.Settings, history []*arcv1.HistoryEntry, err error) {
	h, err := call(ctx, f, func(c *client.Client, ctx context.Context) (*arcv1.HistoryResponse, error) {
		r, err := c.Settings(ctx)
		if err == nil {
			s, err = fromWire(r.GetSettings())
		}
		if err != nil {
			return nil, err
		}
		return c.History(ctx, 0)
	})
	return s, h.GetEntries(), err
}

// assume is what is assumed with the settings, but for what was given.
func (o timingFlags) assume(s ring.Settings) (ring.Assumed, error) {
	a := s.Assume()
	for _, v := range []struct {
		flag, text string
		to         *time.Duration
	}{{"--round-trip", o.roundTrip, &a.RoundTrip}, {"--sync", o.sync, &a.Sync}, {"--notice", o.notice, &a.Notice}} {
		if v.text == "" {
			continue
		}
		var err error
		if *v.to, err = config.Duration(0)(v.text); err != nil {
			return a, fmt.Errorf("%s: %w", v.flag, err)
		}
	}
	return a, nil
}

// fromWire reads settings by their JSON, whose names are the same.
func fromWire(w *arcv1.Settings) (ring.Settings, error) {
	var s ring.Settings
	b, err := contractJSON.Marshal(w)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the ring's settings: %w", err)
	}
	return s, nil
}

// timing is the JSON of `arc timing`. Times are milliseconds.
type timing struct {
	Version  int           `json:"version"`
	Settings ring.Settings `json:"settings"`
	Assumed  struct {
		RoundTrip float64 `json:"round_trip_ms"`
		Sync      float64 `json:"sync_ms"`
		Notice    float64 `json:"notice_ms"`
	} `json:"assumed"`
	Faults []timingFault `json:"faults"`
	// MinorityClaim is for how long a leader cut off with a minority claims;
	// MinorityClaimAlone if its watcher is not with it.
	MinorityClaim      float64 `json:"minority_claim_ms"`
	MinorityClaimAlone float64 `json:"minority_claim_without_watcher_ms"`
	// LocalWorkWaits is from the old leader's last renewal to the earliest begin of
	// a program of the new one, where the token does not guard what it does.
	LocalWorkWaits float64        `json:"local_work_waits_ms"`
	Measured       timingMeasured `json:"measured"`
	Notes          []string       `json:"notes"`
}

type timingFault struct {
	Fault   string        `json:"fault"`
	Meaning string        `json:"meaning"`
	Total   float64       `json:"total_ms"`
	Phases  []timingPhase `json:"phases"`
}

type timingPhase struct {
	Phase string  `json:"phase"`
	Took  float64 `json:"ms"`
	Rule  string  `json:"rule"`
}

// timingMeasured is what the failovers in the history took.
type timingMeasured struct {
	Failovers int             `json:"failovers"`
	Parts     []timingMeasure `json:"parts"`
}

type timingMeasure struct {
	Part   string  `json:"part"`
	Median float64 `json:"median_ms"`
	Worst  float64 `json:"worst_ms"`
}

func newTiming(s ring.Settings, a ring.Assumed, history []*arcv1.HistoryEntry) *timing {
	t := &timing{Version: 1, Settings: s, LocalWorkWaits: inMillis(s.LocalWorkWaits()), Measured: measured(history), Notes: append([]string{}, s.Notes(a)...)}
	t.Assumed.RoundTrip, t.Assumed.Sync, t.Assumed.Notice = inMillis(a.RoundTrip), inMillis(a.Sync), inMillis(a.Notice)
	most, alone := s.MinorityClaim()
	t.MinorityClaim, t.MinorityClaimAlone = inMillis(most), inMillis(alone)
	t.Faults = ring.Each(s.Failovers(a), func(f ring.Failover) timingFault {
		phases := ring.Each(f.Phases, func(p ring.Phase) timingPhase { return timingPhase{p.Name, inMillis(p.Took), p.Rule} })
		return timingFault{Fault: string(f.Fault), Meaning: f.Meaning, Total: inMillis(f.Total()), Phases: phases}
	})
	return t
}

// measured sums up the failovers whose leaders told all their figures.
func measured(history []*arcv1.HistoryEntry) timingMeasured {
	parts := []struct {
		name string
		of   func(p *arcv1.Phases) float64
	}{
		{"from the detection to the promises' end", (*arcv1.Phases).GetPromisesEndedUs},
		{"from the campaign to the election", func(p *arcv1.Phases) float64 { return p.GetElectedUs() - p.GetCampaignUs() }},
		{"from the election to the first claim", func(p *arcv1.Phases) float64 { return p.GetFirstClaimUs() - p.GetElectedUs() }},
		{"from the detection to the first claim", (*arcv1.Phases).GetFirstClaimUs},
	}
	m := timingMeasured{Parts: []timingMeasure{}}
	took := make([][]float64, len(parts))
	for _, e := range history {
		if p := e.GetPhases(); p.GetFirstClaimUs() > 0 && e.GetEvidence() != "" {
			m.Failovers++
			for i := range parts {
				took[i] = append(took[i], parts[i].of(p)/1000)
			}
		}
	}
	for i, t := range took {
		if len(t) > 0 {
			slices.Sort(t)
			m.Parts = append(m.Parts, timingMeasure{parts[i].name, t[len(t)/2], t[len(t)-1]})
		}
	}
	return m
}

func (t *timing) table(w io.Writer) {
	line(w, "profile %s; assumed: round trip %s, sync %s, notice of an exit %s",
		t.Settings.Profile, msText(t.Assumed.RoundTrip), msText(t.Assumed.Sync), msText(t.Assumed.Notice))
	fmt.Fprintln(w)
	var lines [][]string
	for _, f := range t.Faults {
		lines = append(lines, []string{f.Fault, "total", msText(f.Total), f.Meaning})
		for _, p := range f.Phases {
			lines = append(lines, []string{"", p.Phase, msText(p.Took), p.Rule})
		}
	}
	rows(w, "FAULT PHASE AT-MOST WHY", lines)
	fmt.Fprintf(w, "\nA leader that is cut off with a minority claims, by its own clock, for at most %s after it sent\nthe last renewal that a majority acknowledged", msText(t.MinorityClaim))
	if t.MinorityClaimAlone < t.MinorityClaim {
		fmt.Fprintf(w, ", or %s after its last answer to its watcher if that one is not with it", msText(t.MinorityClaimAlone))
	}
	fmt.Fprintf(w, ".\nARC stops no programs yet. Where the token does not guard what yours do, let a new leader's begin %s after\nthe old leader's last renewal at the earliest: after lease_ms × (1 + drift), and grace_ms in which the old one's stops.\n", msText(t.LocalWorkWaits))
	if t.Measured.Failovers == 0 {
		return
	}
	fmt.Fprintf(w, "\nMeasured, failovers in the history: %d\n", t.Measured.Failovers)
	rows(w, "PART MEDIAN WORST", ring.Each(t.Measured.Parts, func(p timingMeasure) []string {
		return []string{p.Part, msText(p.Median), msText(p.Worst)}
	}))
}

func inMillis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// msText prints milliseconds: 0, 3.5 ms, 1.25 s.
func msText(ms float64) string {
	if ms <= 0 {
		return "0"
	}
	if ms < 10 {
		return strconv.FormatFloat(ms, 'f', -1, 64) + " ms"
	}
	return millis(ms)
}
