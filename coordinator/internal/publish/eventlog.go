package publish

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/go-hclog"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// LogEvent writes an event to the log: once, with what a person needs to know
// why it happened. A change of the settings is written by LogSettings.
func LogEvent(log hclog.Logger, e *arcv1.Event) {
	args := []any{"peer", e.GetNode(), "epoch", e.GetEpoch(), "term", e.GetTerm()}
	info := func(text string, more ...any) { log.Info(text, append(args, more...)...) }
	warn := func(text string, more ...any) { log.Warn(text, append(args, more...)...) }
	switch d := e.GetDetail().(type) {
	case *arcv1.Event_Joined:
		if d.Joined.GetReturned() {
			info("member returned", "id", strconv.FormatUint(d.Joined.GetId(), 10))
		} else {
			info("member joined", "id", strconv.FormatUint(d.Joined.GetId(), 10))
		}
	case *arcv1.Event_Left:
		info("member left", "id", strconv.FormatUint(d.Left.GetId(), 10))
	case *arcv1.Event_Evicted:
		warn("member evicted", "id", strconv.FormatUint(d.Evicted.GetId(), 10), "reason", d.Evicted.GetEvidence(), "by", d.Evicted.GetBy())
	case *arcv1.Event_LeaderDeclared:
		l := d.LeaderDeclared
		// How long nobody led is known at the first claim alone.
		info("leader declared", "reason", l.GetWhy(), "after", l.GetAfter(), "evidence", l.GetEvidence(), "by", l.GetSeenBy())
	case *arcv1.Event_LeaderLost:
		info("leader lost", "reason", d.LeaderLost.GetWhy())
	case *arcv1.Event_Snapshot: // logged only in place of a declaration
		log.Info("leader known again", "peer", d.Snapshot.GetLeader().GetName(), "epoch", e.GetEpoch(), "term", e.GetTerm())
	case *arcv1.Event_ClaimGained:
		args := []any{"reason", d.ClaimGained.GetWhy()}
		if p := d.ClaimGained.GetPhases(); p != nil { // since this node learned that the leader before was lost
			args = append(args, "elected-ms", p.GetElectedUs()/1000, "declared-ms", p.GetDeclaredUs()/1000, "claimed-ms", p.GetFirstClaimUs()/1000)
		}
		info("this node leads now", args...)
	case *arcv1.Event_ClaimLost:
		warn("this node leads no longer", "reason", d.ClaimLost.GetWhy())
	case *arcv1.Event_Relinked:
		// The monitor says it at Info, with the reason, once it has done so.
		log.Debug("monitor relinked", "from", d.Relinked.GetFrom(), "to", d.Relinked.GetTarget(), "epoch", e.GetEpoch())
	case *arcv1.Event_Suspected:
		s := d.Suspected
		warn("member suspected", "reason", s.GetEvidence(), "by", s.GetBy(), "why", unless(s.GetEvidence(), s.GetWhy()))
	case *arcv1.Event_Cleared:
		info("suspicion cleared", "by", d.Cleared.GetBy(), "why", d.Cleared.GetWhy())
	case *arcv1.Event_Certified:
		warn("member certified dead", "reason", d.Certified.GetExit())
	}
}

// LogSettings writes to the log which settings changed in an epoch, by the names of
// `arc config`, each with its old and its new value.
func LogSettings(log hclog.Logger, epoch uint64, from, to ring.Settings) {
	args := []any{"epoch", epoch}
	was, is := SettingsToWire(from).ProtoReflect(), SettingsToWire(to).ProtoReflect()
	fields := is.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if old, now := was.Get(f), is.Get(f); !old.Equal(now) {
			args = append(args, string(f.Name()), fmt.Sprintf("%v → %v", old, now))
		}
	}
	if len(args) > 2 {
		log.Info("settings changed", args...)
	}
}

// unless is a sentence, or "" if it says no more than a word that stands beside it.
func unless(word, sentence string) string {
	if sentence == word {
		return ""
	}
	return sentence
}
