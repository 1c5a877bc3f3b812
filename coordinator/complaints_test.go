package coordinator

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func TestComplaintsGrowRare(t *testing.T) {
	var c complaints
	var said []time.Duration
	began := time.Unix(1000, 0)
	for d := time.Duration(0); d <= 20*time.Minute; d += 500 * time.Millisecond {
		if c.due(began.Add(d), "refused") {
			said = append(said, d)
		}
	}
	want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second, 62 * time.Second, 126 * time.Second,
		254 * time.Second, 510 * time.Second, 810 * time.Second, 1110 * time.Second}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("said at %v, want %v", said, want)
	}
	// A reason that is new does not wait for the long pause, and a hundred new
	// ones are no flood.
	at := began.Add(20*time.Minute + durations.ComplaintNew)
	if !c.due(at, "the name is in use") || c.due(at.Add(time.Second), "another") || c.due(at.Add(durations.ComplaintNew), "the name is in use") {
		t.Error("a new reason is not said once")
	}
	lines := 0
	for i := range 1000 {
		if c.due(at.Add(time.Duration(i)*100*time.Millisecond), fmt.Sprint("port ", i)) {
			lines++
		}
	}
	if lines > 10 {
		t.Errorf("%d lines in 100 s", lines)
	}
}

// lineLog hands on the lines of a log.
type lineLog chan string

func (l lineLog) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // nobody waits for so many
	}
	return len(p), nil
}

// A joiner that gets no answer says soon whom it asks.
func TestAJoinerSaysWhomItAsks(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	out := make(lineLog, 1000)
	o := testOptions(t, "n1")
	o.Join, o.Logger = []string{silent.Addr().String()}, hclog.New(&hclog.LoggerOptions{Output: out})
	start(t, o)
	want := "no answer so far: via=" + silent.Addr().String() + ` elapsed=1s next-try="in 9s at the latest"`
	late := time.After(durations.JoinCall)
	for {
		select {
		case line := <-out:
			if strings.Contains(line, want) {
				return
			}
			if strings.Contains(line, "not joined yet") {
				t.Errorf("before: %s", line)
			}
		case <-late:
			t.Fatalf("the log lacks %q", want)
		}
	}
}

// Who asks for a ring in vain says so in its status: whom it asked, and what came of it.
func TestAJoinerSaysWhatCameOfAsking(t *testing.T) {
	o := testOptions(t, "n1")
	o.Join = []string{"127.0.0.1:1", "127.0.0.1:2"}
	n := start(t, o)
	st := n.await("it asked both", func(st *arcv1.StatusResponse) bool { return strings.Contains(st.GetReason(), "127.0.0.1:2") })
	if got := st.GetReason(); !strings.HasPrefix(got, "this node is joining; not admitted by 127.0.0.1:1: ") || !strings.Contains(got, "connection refused") {
		t.Errorf("says %q", got)
	}
	all := tries{by: map[string]failure{}}
	for via, text := range map[string]string{"b:1": "refused", "c:1": "busy", "a:1": "refused"} {
		all.failed(via, text, text == "busy")
	}
	if got, want := all.list(false), []string{"a:1, b:1: refused", "c:1: busy"}; !slices.Equal(got, want) {
		t.Errorf("lists %q, want %q", got, want)
	}
	if got, want := all.list(true), []string{"c:1: busy"}; !slices.Equal(got, want) {
		t.Errorf("of those who know it lists %q, want %q", got, want)
	}
	all.forget()
	if got := all.list(false); len(got) > 0 {
		t.Errorf("in another search it lists %q", got)
	}
}

// However many addresses are silent, somebody who answers is heard.
func TestAnAnswerHasRoomAmongTheSilent(t *testing.T) {
	all := tries{by: map[string]failure{}}
	for i := range 2 * answersMost {
		all.failed(fmt.Sprint("silent:", i), "no answer", false)
	}
	all.failed("b:1", "busy", true)
	all.failed("silent:0", "no answer", false)
	if got, want := all.list(true), []string{"b:1: busy"}; !slices.Equal(got, want) {
		t.Errorf("of those who know it lists %q, want %q", got, want)
	}
	for i := range 2 * answersMost {
		all.failed(fmt.Sprint("busy:", i), "busy", true)
	}
	if len(all.by) != answersMost {
		t.Errorf("%d answers are kept, want %d", len(all.by), answersMost)
	}
}
