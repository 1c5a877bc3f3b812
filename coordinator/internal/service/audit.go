package service

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// command is a change in the words of the command line.
func command(method string) string {
	if method == arcv1.ArcService_SetSettings_FullMethodName {
		return "config set"
	}
	return strings.ToLower(path.Base(method))
}

// audited are the calls that leave a line, with their argument. Those of peers
// alone carry the log on, and their effects are events.
func audited(req any) (argument string, ok bool) {
	switch r := req.(type) {
	case *arcv1.JoinRequest:
		return r.GetName() + " at " + strings.Join(r.GetAddresses(), ", "), true
	case *arcv1.LeaveRequest:
		return r.GetName(), true
	case *arcv1.EvictRequest:
		return r.GetName(), true
	case *arcv1.ForgetRequest:
		return r.GetName(), true
	case *arcv1.HandoverRequest:
		return r.GetName(), true
	case *arcv1.RelinkRequest:
		return r.GetTarget(), true
	case *arcv1.SetSettingsRequest:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(r.GetChanges())) {
			all = append(all, k+"="+r.GetChanges()[k])
		}
		return strings.Join(all, " "), true
	}
	return "", false
}

// audit leaves a line of a change that was asked for, and of each call that was denied:
// who, what, from where, and what came of it.
func (s *Servers) audit(p party, method string, req any, forwarded bool, err error) {
	argument, ok := audited(req)
	if !ok {
		if errors.Is(err, reason.ErrDenied) {
			s.o.Log.Info("a call was denied", "call", command(method), "by", p, "address", p.from, "error", err)
		}
		return
	}
	outcome := "done"
	if err != nil {
		outcome = fmt.Sprintf("refused: %v", err)
	}
	s.o.Log.Info("a change was asked for", "change", command(method), "argument", foreign.Brief(argument),
		"by", p, "address", p.from, "forwarded", forwarded, "outcome", outcome)
}
