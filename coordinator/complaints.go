package coordinator

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/durations"
)

// reasonsKept bounds the reasons that are known; more count as known, too.
const reasonsKept = 32

// complaints decides when a joiner that gets nowhere says so.
type complaints struct {
	mu    sync.Mutex
	last  time.Time // zero: nothing was said
	count int       // lines whose time had come
	said  map[string]bool
}

// due reports whether to say, at now, that something is wrong for this reason;
// if so, it counts as said.
func (c *complaints) due(now time.Time, reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	isNew := !c.said[reason] && len(c.said) < reasonsKept
	since := now.Sub(c.last)
	switch {
	case c.last.IsZero():
		c.count = 1
	case since >= durations.Complaint.Pause(c.count):
		c.count++
	case isNew && since >= durations.ComplaintNew:
	default:
		return false
	}
	if isNew {
		if c.said == nil {
			c.said = map[string]bool{}
		}
		c.said[reason] = true
	}
	c.last = now
	return true
}

// complain logs why a join did not come about, and who is asked next: at Warn
// once in a while, at Debug each time.
func (j *joiner) complain(err error, via, next string) {
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return
	}
	text := inWords{err}.Error()
	j.heard(err, text, via)
	level := hclog.Debug
	if j.complaints.due(time.Now(), text) {
		level = hclog.Warn
	}
	j.n.log.Log(level, "not joined yet", "via", via, "error", text, "next-try", next)
}

// tellLate logs that an answer takes long.
func (j *joiner) tellLate(addresses []string) {
	via := strings.Join(addresses, ", ")
	level := hclog.Debug
	if j.complaints.due(time.Now(), "late") {
		level = hclog.Warn
	}
	j.n.log.Log(level, "not joined yet, no answer so far", "via", via, "elapsed", durations.JoinLate, "next-try", "in "+(durations.JoinCall-durations.JoinLate).String()+" at the latest")
}
