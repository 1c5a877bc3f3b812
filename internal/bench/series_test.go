package bench

import (
	"strings"
	"testing"
	"time"
)

func TestHowManyLabs(t *testing.T) {
	quiet := shape{takes: 5 * time.Second, hosts: 3, trials: 60, most: MostLabs, cores: 0.01, allCores: 2, memory: 1 << 26, allMemory: 16 << 30}
	for name, c := range map[string]struct {
		change func(s *shape)
		want   int
	}{
		"as many as may be":             {func(s *shape) {}, 16},
		"milliseconds are alone":        {func(s *shape) { s.takes = 30 * time.Millisecond }, 1},
		"a third of a second, too":      {func(s *shape) { s.takes = 300 * time.Millisecond }, 1},
		"a second has four":             {func(s *shape) { s.takes = time.Second }, 4},
		"no more than trials":           {func(s *shape) { s.trials = 3 }, 3},
		"by request":                    {func(s *shape) { s.most = 0 }, 1},
		"as many hosts as may be":       {func(s *shape) { s.hosts = 20 }, 8},
		"a quarter of the processors":   {func(s *shape) { s.cores = 0.1 }, 5},
		"most of the memory":            {func(s *shape) { s.memory = 2 << 30 }, 5},
		"one that takes all of it":      {func(s *shape) { s.cores = 3 }, 1},
		"nothing is known of the costs": {func(s *shape) { s.cores, s.memory = 0, 0 }, 16},
	} {
		s := quiet
		c.change(&s)
		if got := s.labs(); got != c.want {
			t.Errorf("%s: %d labs, want %d", name, got, c.want)
		}
	}
}

// A system of milliseconds is measured alone whatever it costs, and one of
// seconds is not.
func TestWhoIsMeasuredAlone(t *testing.T) {
	r := &runner{Options: Options{Labs: MostLabs}}
	for id, alone := range map[string]bool{
		"arc/realtime": true, "arc/fast": true, "arc/lan": true, "keepalived/10ms": true, "corosync/126ms": true, "etcd/10-50": true,
		"keepalived/1s": false, "corosync/default": false, "etcd/default": false, "serf/local": false, "serf/lan": false,
	} {
		for _, n := range []int{3, 5, 20} {
			if got := r.estimated(Choose([]string{id})[0], n, 60).labs(); (got == 1) != alone {
				t.Errorf("%s on %d hosts: %d labs", id, n, got)
			}
		}
	}
}

func TestReadingTheMachine(t *testing.T) {
	if got := parseFreeMemory("MemTotal: 24 kB\nMemAvailable:   2048 kB\n"); got != 2<<20 {
		t.Errorf("%d bytes are free, want 2 MiB", got)
	}
	if busy, all := parseProcessorTime("cpu  1 2 3 40 50 6 7 8 900 900\ncpu0 1 1"); busy != 27 || all != 117 {
		t.Errorf("%v of %v ticks were busy, want 27 of 117", busy, all)
	}
	if busy, all := parseProcessorTime(""); busy != 0 || all != 0 {
		t.Errorf("%v of %v ticks of nothing", busy, all)
	}
}

func TestTrialsTakeTurns(t *testing.T) {
	now := time.Unix(1000, 0)
	order := func(c *series, at time.Time) string {
		var list []string
		for k := c.take(at); k != nil; k = c.take(at) {
			list = append(list, k.name)
		}
		return strings.Join(list, " ")
	}
	fresh := func() *series {
		r := &runner{Options: Options{Least: 1}}
		return &series{runner: r, kinds: []*kind{{name: "kill", want: 3}, {name: "pull", want: 3}, {name: "cut", want: 2, last: true}}}
	}
	c := fresh()
	if got := order(c, now); got != "kill pull kill pull kill pull cut cut" {
		t.Errorf("order %q", got)
	}
	if c.left() != 0 {
		t.Errorf("%d left", c.left())
	}
	c = fresh()
	c.kinds[1].inARow = failuresInARow
	if got := order(c, now); got != "kill kill kill cut cut" {
		t.Errorf("with one given up: order %q", got)
	}
	c = fresh()
	c.end = now
	c.kinds[0].begun = 2
	if got := order(c, now.Add(1)); got != "pull cut" {
		t.Errorf("after the end: order %q", got)
	}
	if c.left() != 4 {
		t.Errorf("after the end: %d left, want 1 of kill, 2 of pull, 1 of cut", c.left())
	}
}

func TestTheTimeIsShared(t *testing.T) {
	began := time.Unix(0, 0)
	after := func(d time.Duration) time.Time { return began.Add(d) }
	p := &plan{
		errands: []errand{{System{ID: "a"}, 3, 0, 10 * time.Second}, {System{ID: "b"}, 3, 5 * time.Second, 25 * time.Second}, {System{ID: "a"}, 5, 10 * time.Second, 15 * time.Second}},
		within:  after(80 * time.Second), pace: map[string]float64{},
	}
	until := func(now, want time.Duration) {
		t.Helper()
		end, ok := p.until(after(now))
		if !ok || !end.Equal(after(want)) {
			t.Errorf("errand %d may last until %v (%v), want %v", p.next, end.Sub(began), ok, want)
		}
	}
	until(0, 25*time.Second) // all the slack, which leaves 55 s
	p.done(20*time.Second, true)
	// The trials of the first took twice as long as was guessed, so the last takes 40 s.
	until(20*time.Second, after(20*time.Second).Add(60*time.Second*30/70).Sub(began))
	p.done(26*time.Second, false)
	if got := p.expected(errand{System{ID: "b"}, 5, 0, time.Second}); got != time.Second {
		t.Errorf("the pace of what was cut short counts: %v", got)
	}
	until(46*time.Second, 80*time.Second)
	if _, ok := p.until(after(80 * time.Second)); ok {
		t.Error("the time is over, and another may begin")
	}
	p.within = time.Time{}
	if end, ok := p.until(after(time.Hour)); !ok || !end.IsZero() {
		t.Errorf("without a bound: %v %v", end, ok)
	}
}
