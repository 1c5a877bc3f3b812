package bench

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func TestParseEtcd(t *testing.T) {
	for line, want := range map[string]etcdNews{
		`{"level":"info","msg":"raft.node: 8211f1d0f64f3269 elected leader 91bc3c398fb3c146 at term 2"}`:                           {self: "8211f1d0f64f3269", leader: "91bc3c398fb3c146"},
		`{"level":"info","msg":"raft.node: 8211f1d0f64f3269 changed leader from 91bc3c398fb3c146 to fd422379fda50e48 at term 31"}`: {self: "8211f1d0f64f3269", leader: "fd422379fda50e48"},
		`{"level":"info","msg":"raft.node: 8211f1d0f64f3269 lost leader 91bc3c398fb3c146 at term 3"}`:                              {self: "8211f1d0f64f3269"},
		`{"level":"info","msg":"8211f1d0f64f3269 became candidate at term 3"}`:                                                     {},
		`{"level":"info","msg":"8211f1d0f64f3269 became leader at term 3"}`:                                                        {},
		``: {},
	} {
		got, ok := parseEtcd(line)
		if got != want || ok != (want.self != "") {
			t.Errorf("%s\n\tmeans %+v, %v; want %+v", line, got, ok, want)
		}
	}
}

func TestEtcdLeaderIsKnownBeforeItsHost(t *testing.T) {
	l := NewTimeline(nil)
	ids := etcdIDs{host: map[string]int{}, waiting: map[int]string{}}
	ids.hear(l, 1, etcdNews{self: "aa", leader: "bb"})
	if got := l.Agreed([]int{1}); got != nobody {
		t.Errorf("n1 follows n%d before anybody knows whose id bb is", got)
	}
	ids.hear(l, 2, etcdNews{self: "bb", leader: "bb"})
	if got := l.Agreed([]int{1, 2}); got != 2 {
		t.Errorf("they agree on %d, want 2", got)
	}
	if got := l.Acting(); !slices.Equal(got, []int{2}) {
		t.Errorf("acting are %v, want 2 alone", got)
	}
	ids.hear(l, 2, etcdNews{self: "bb"})
	if got := l.Acting(); len(got) != 0 {
		t.Errorf("acting are %v after n2 lost its leadership", got)
	}
}

func TestParseCorosync(t *testing.T) {
	for line, want := range map[string]struct {
		ok      bool
		members []int
		quorate bool
	}{
		"Nov 22 03:26:21 notice  [QUORUM] Members[3]: 1 2 3":                                                                         {true, []int{1, 2, 3}, true},
		"Nov 22 03:26:21 notice  [QUORUM] Members[2]: 12 20":                                                                         {true, []int{12, 20}, true},
		"Nov 22 03:26:21 notice  [QUORUM] This node is within the primary component and will provide service.":                       {true, []int{7}, true},
		"Nov 22 03:26:21 notice  [QUORUM] This node is within the non-primary component and will NOT provide any services.":          {true, []int{7}, false},
		"Nov 22 03:26:21 notice  [QUORUM] Sync members[3]: 1 2 3":                                                                    {},
		"Nov 22 03:26:21 notice  [QUORUM] Sync left[1]: 1":                                                                           {},
		"Nov 22 03:26:21 notice  [TOTEM ] A new membership (2.1d) was formed. Members left: 1":                                       {},
		"Nov 22 03:26:21 notice  [TOTEM ] A processor failed, forming new configuration: token timed out (126ms), waiting 151ms for": {},
	} {
		change, ok := parseCorosync(line)
		if ok != want.ok {
			t.Errorf("%s\n\tcounts %v, want %v", line, ok, want.ok)
			continue
		}
		if !ok {
			continue
		}
		m := newMembers()
		m.alive[7] = true
		change(m)
		if got := m.list(); !slices.Equal(got, want.members) || m.quorate != want.quorate {
			t.Errorf("%s\n\tmakes %v quorate %v, want %v, %v", line, got, m.quorate, want.members, want.quorate)
		}
	}
}

func TestParseSerf(t *testing.T) {
	for line, want := range map[string]struct {
		member int
		alive  bool
	}{
		"    2026/11/22 03:21:30 [INFO] serf: EventMemberFailed: n1 10.77.0.1":                    {1, false},
		"    2026/11/22 03:21:30 [INFO] serf: EventMemberJoin: n12 10.77.0.12":                    {12, true},
		"    2026/11/22 03:21:30 [INFO] serf: EventMemberLeave: n3 10.77.0.3":                     {3, false},
		"    2026/11/22 03:21:30 [INFO] memberlist: Suspect n1 has failed, no acks received":      {0, false},
		"    2026/11/22 03:21:30 [INFO] serf: EventMemberUpdate: n1":                              {0, false},
		"    2026/11/22 03:21:31 [INFO] serf: attempting reconnect to n1 10.77.0.1:7946":          {0, false},
		"    2026/11/22 03:21:31 [INFO] agent: Received event: member-failed":                     {0, false},
		"    2026/11/22 03:21:31 [INFO] serf: EventMemberReap: n20":                               {20, false},
		"    2026/11/22 03:21:31 [INFO] serf: EventMemberJoin: node1 10.77.0.1 (not one of ours)": {0, false},
	} {
		if member, alive := parseSerf(line); member != want.member || alive != want.alive {
			t.Errorf("%s\n\tmeans %d, %v; want %d, %v", line, member, alive, want.member, want.alive)
		}
	}
}

func TestMembersStandForALeader(t *testing.T) {
	l := NewTimeline(nil)
	m := newMembers()
	m.change(l, 2, func(m *members) { m.set([]int{1, 2, 3}) })
	if got := l.Agreed([]int{2}); got != 1 {
		t.Errorf("the lowest is n%d, want n1", got)
	}
	m.change(l, 2, func(m *members) { m.alive[1] = false })
	if got, acting := l.Agreed([]int{2}), l.Acts(2); got != 2 || !acting {
		t.Errorf("without n1 the lowest is n%d, acting %v; want n2, true", got, acting)
	}
	m.change(l, 2, func(m *members) { m.quorate = false })
	if l.Acts(2) {
		t.Error("n2 acts without a majority")
	}
	if got := m.count(); got != 2 {
		t.Errorf("there are %d, want 2", got)
	}
}

func TestHearARC(t *testing.T) {
	leads := map[string]any{"leader": map[string]any{"id": "4", "name": "n3"}, "claiming": true}
	said := func(kind, node string, detail map[string]any) *arcv1.Event {
		return fakearc.Event(&arcv1.Event{Node: node}, kind, detail)
	}
	l := NewTimeline(nil)
	for _, step := range []struct {
		event *arcv1.Event
		view  int
		acts  bool
	}{
		{said("snapshot", "n3", leads), 3, true},
		{said("claim_lost", "n3", nil), 3, false},
		{said("leader_lost", "n3", nil), 3, false},
		{said("leader_declared", "n12", nil), 12, false},
		{said("evicted", "n4", nil), 12, false},
		{said("claim_gained", "n12", nil), 12, false},
		{said("claim_gained", "n3", nil), 12, true},
		{said("snapshot", "n3", nil), nobody, false},
	} {
		hear(l, "n3", step.event)
		if view, acts := l.Agreed([]int{3}), l.Acts(3); view != step.view || acts != step.acts {
			t.Errorf("after %v: n%d leads, acting %v; want n%d, %v", step.event, view, acts, step.view, step.acts)
		}
	}
}

func TestKeepalivedConfig(t *testing.T) {
	seen := map[string]bool{}
	for number := 1; number <= 20; number++ {
		config := keepalivedConfig(number, 10*time.Millisecond)
		if !strings.Contains(config, "advert_int 0.01\n") || !strings.Contains(config, vip.String()+"/24") {
			t.Fatalf("n%d gets\n%s", number, config)
		}
		_, rest, _ := strings.Cut(config, "priority ")
		priority, _, _ := strings.Cut(rest, "\n")
		if seen[priority] {
			t.Errorf("two have priority %s", priority)
		}
		seen[priority] = true
	}
	if !netip.MustParsePrefix("10.77.0.0/24").Contains(vip) {
		t.Errorf("%s is not on the lab's first network", vip)
	}
}

func TestResigns(t *testing.T) {
	if !resigns([]byte{0x31, 77, 0, 1}) || resigns([]byte{0x31, 77, 254, 1}) || !resigns(nil) {
		t.Error("priority 0 alone resigns")
	}
}

func TestCorosyncConfig(t *testing.T) {
	nodes := []corosyncNode{{1, "10.77.0.1"}, {2, "10.77.0.2"}}
	if got := corosyncConfig(nodes, corosyncDefault, "/x"); strings.Contains(got, "token") {
		t.Errorf("the default sets a token timeout:\n%s", got)
	}
	got := corosyncConfig(nodes, 126*time.Millisecond, "/x")
	for _, want := range []string{"token: 126\n", "token_coefficient: 0\n", "nodeid: 2\n", "ring0_addr: 10.77.0.2\n", "state_dir: /x\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestHasFlag(t *testing.T) {
	const help = "Flags:\n      --profile PROFILE   realtime, fast; see --realtime\n      --witness           vote but never lead\n"
	if hasFlag(help, "--realtime") || !hasFlag(help, "--profile") {
		t.Error("a flag is what begins a line")
	}
}

func TestResidentBytes(t *testing.T) {
	if got, err := residentBytes("312345 5120 2200 1500 0 9000 0\n", 4096); err != nil || got != 20<<20 {
		t.Errorf("got %d, %v; want 20 MiB", got, err)
	}
	for _, text := range []string{"", "1", "1 x"} {
		if _, err := residentBytes(text, 4096); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
