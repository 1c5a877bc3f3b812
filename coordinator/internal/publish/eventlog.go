package publish

import (
	"github.com/hashicorp/go-hclog"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// LogEvent writes an event to the log: once, with what a person needs to know
// why it happened.
func LogEvent(log hclog.Logger, e *arcv1.Event) {
	text := func(key string) string { return e.GetDetail().GetFields()[key].GetStringValue() }
	args := []any{"peer", e.GetNode(), "epoch", e.GetEpoch(), "term", e.GetTerm()}
	switch e.GetType() {
	case string(ring.Joined):
		if e.GetDetail().GetFields()["returned"].GetBoolValue() {
			log.Info("member returned", append(args, "id", text("id"))...)
			return
		}
		log.Info("member joined", append(args, "id", text("id"))...)
	case string(ring.Left):
		log.Info("member left", append(args, "id", text("id"))...)
	case string(ring.Evicted):
		log.Warn("member evicted", append(args, "id", text("id"), "reason", text("evidence"), "by", text("by"))...)
	case string(ring.LeaderDeclared):
		log.Info("leader declared", append(args, "reason", text("why"), "after", text("after"), "evidence", text("evidence"),
			"gap-ms", e.GetDetail().GetFields()["gap_ms"].GetNumberValue())...)
	case string(ring.SettingsChanged):
		log.Info("settings changed", "epoch", e.GetEpoch(), "profile", text("profile"))
	case eventLeaderLost:
		log.Info("leader lost", append(args, "reason", text("why"))...)
	case eventSnapshot: // logged only in place of a declaration
		leader := e.GetDetail().GetFields()["leader"].GetStructValue().GetFields()["name"].GetStringValue()
		log.Info("leader known again", "peer", leader, "epoch", e.GetEpoch(), "term", e.GetTerm())
	case eventClaimGot:
		log.Info("this node leads now", append(args, "reason", text("why"))...)
	case eventClaimLost:
		log.Warn("this node leads no longer", append(args, "reason", text("why"))...)
	case eventRelinked:
		log.Info("monitor relinked", "from", text("from"), "to", text("target"), "epoch", e.GetEpoch())
	case eventSuspected:
		log.Warn("member suspected", append(args, "reason", text("evidence"), "by", text("by"), "why", text("why"))...)
	case eventCleared:
		log.Info("suspicion cleared", append(args, "by", text("by"), "why", text("why"))...)
	case eventCertified:
		log.Warn("member certified dead", append(args, "reason", text("exit"))...)
	}
}
