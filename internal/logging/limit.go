package logging

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
)

const (
	// linesAtOnce is how many lines of one kind a process may write at once; later ones are
	// durations.LogLineEvery apart.
	linesAtOnce = 30
	// kindsKept bounds the kinds that are told apart.
	kindsKept = 1024
	// leftOutMessage tells the number. It is the one kind without a limit.
	leftOutMessage = "lines of one kind left out, they come too often"
)

// limiter leaves out lines of a kind that comes too often, and counts them: what
// strangers send must not fill the disk, nor hide everything else in the log. A
// kind is a level and a message, since messages are constant. Debug and trace
// lines are not limited; who asks for them wants to see them all.
type limiter struct {
	mu    sync.Mutex
	log   hclog.Logger // set before the first line
	kinds map[lineKind]*budget
}

type lineKind struct {
	level   hclog.Level
	message string
}

// budget is what a kind may still write.
type budget struct {
	lines float64
	at    time.Time // when lines was right
	left  int       // out, and not told yet
}

// exclude reports whether a line is left out. It runs under the logger's lock,
// so what it has to tell is told by a timer.
func (l *limiter) exclude(level hclog.Level, message string, _ ...any) bool {
	if level < hclog.Info || message == leftOutMessage {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	k := lineKind{level, message}
	b := l.kinds[k]
	if b == nil {
		l.makeRoom(now)
		b = &budget{lines: linesAtOnce, at: now}
		l.kinds[k] = b
	}
	b.refill(now)
	if b.lines >= 1 {
		b.lines--
		return false
	}
	if b.left++; b.left == 1 {
		time.AfterFunc(durations.LogLeftOut, func() { l.tell(k) })
	}
	return true
}

func (b *budget) refill(now time.Time) {
	b.lines = min(linesAtOnce, b.lines+float64(now.Sub(b.at))/float64(durations.LogLineEvery))
	b.at = now
}

// makeRoom forgets kinds that have not come for long; should all be busy, it
// forgets them all, which lets a few lines more through.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.kinds) < kindsKept {
		return
	}
	maps.DeleteFunc(l.kinds, func(_ lineKind, b *budget) bool {
		b.refill(now)
		return b.lines >= linesAtOnce && b.left == 0
	})
	if len(l.kinds) >= kindsKept {
		clear(l.kinds)
	}
}

// tell writes how many lines of a kind were left out.
func (l *limiter) tell(k lineKind) {
	l.mu.Lock()
	n := 0
	if b := l.kinds[k]; b != nil {
		n, b.left = b.left, 0
	}
	l.mu.Unlock()
	if n > 0 {
		l.log.Log(k.level, leftOutMessage, "message", k.message, "count", n)
	}
}

// close tells what is not told yet.
func (l *limiter) close() {
	l.mu.Lock()
	kinds := slices.Collect(maps.Keys(l.kinds))
	l.mu.Unlock()
	for _, k := range kinds {
		l.tell(k)
	}
}
