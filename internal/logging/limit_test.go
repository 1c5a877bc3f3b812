package logging

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

// 3,000 strangers, or one with 3,000 tries, are not 3,000 lines; and what else
// happens is still in the log.
func TestLinesOfOneKindAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		root, flush := NewAsync(Options{Output: &out})
		defer flush()
		peer := root.Named(Peer)
		for i := range 3000 {
			peer.Warn("stranger refused", "from", i)
			if i%1000 == 0 {
				root.Info("something else", "number", i)
			}
		}
		testwait.Virtual(durations.LogLeftOut)
		text := out.String()
		if n := strings.Count(text, "stranger refused:"); n != linesAtOnce {
			t.Errorf("%d lines, want %d", n, linesAtOnce)
		}
		if n := strings.Count(text, "something else"); n != 3 {
			t.Errorf("%d lines of another kind, want 3", n)
		}
		if want := fmt.Sprintf(`%s: message="stranger refused" count=%d`, leftOutMessage, 3000-linesAtOnce); strings.Count(text, want) != 1 {
			t.Errorf("the lines that were left out are not counted, want %q:\n%s", want, text)
		}
		// One every so often is no flood.
		before := strings.Count(out.String(), "stranger refused:")
		for range 100 {
			testwait.Virtual(durations.LogLineEvery)
			peer.Warn("stranger refused", "from", "afar")
		}
		synctest.Wait()
		if n := strings.Count(out.String(), "stranger refused:") - before; n != 100 {
			t.Errorf("of 100 lines, one every %v, there are %d", durations.LogLineEvery, n)
		}
	})
}

func TestLimitCountsAtTheEndAndLetsDebugThrough(t *testing.T) {
	var out strings.Builder
	log, flush := NewAsync(Options{Output: &out, Level: hclog.Debug})
	for i := range 2 * linesAtOnce {
		log.Error("broken", "try", i)
		log.Debug("detail", "try", i)
	}
	flush()
	text := out.String()
	if n := strings.Count(text, "detail"); n != 2*linesAtOnce {
		t.Errorf("%d debug lines, want %d", n, 2*linesAtOnce)
	}
	if !strings.Contains(text, fmt.Sprintf("message=broken count=%d", linesAtOnce)) {
		t.Errorf("the end does not tell what was left out:\n%s", text)
	}
}

// Messages that are not constant do not fill the memory.
func TestKindsAreBounded(t *testing.T) {
	l := &limiter{log: hclog.NewNullLogger(), kinds: map[lineKind]*budget{}}
	for i := range 10 * kindsKept {
		l.exclude(hclog.Warn, fmt.Sprint("message ", i))
	}
	if n := len(l.kinds); n > kindsKept {
		t.Errorf("%d kinds are kept, want at most %d", n, kindsKept)
	}
}
