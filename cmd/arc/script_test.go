package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"arc":       func() { os.Exit(run()) },
		"arc-crash": func() { crashes[os.Args[1]]() },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		UpdateScripts:       os.Getenv("ARC_UPDATE_SCRIPTS") != "", // then read the difference
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// Short, since unix sockets have short paths.
			dir, err := os.MkdirTemp("", "arc")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = os.RemoveAll(dir) })
			env.Setenv("ARC_RUN_DIR", dir)
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fake-arc": fakeArc,
			"deaf-arc": deafArc,
			"exits":    exits,
		},
	})
}

// fakeArc starts a coordinator of the named temper at the script's run
// directory.
func fakeArc(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || tempers[args[0]] == nil {
		ts.Fatalf("usage: fake-arc TEMPER")
	}
	stop, err := tempers[args[0]]().Serve(filepath.Join(ts.Getenv("ARC_RUN_DIR"), "arc.sock"))
	ts.Check(err)
	ts.Defer(stop)
}

// deafArc takes connections at the script's run directory and says nothing, as a
// coordinator does that is stopped.
func deafArc(ts *testscript.TestScript, _ bool, _ []string) {
	lis, err := net.Listen("unix", filepath.Join(ts.Getenv("ARC_RUN_DIR"), "arc.sock"))
	ts.Check(err)
	ts.Defer(func() { _ = lis.Close() })
}

// exits runs arc and checks its exit code: exits CODE ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	want := args[0]
	got := "0"
	if err := ts.Exec("arc", args[1:]...); err != nil {
		var code interface{ ExitCode() int }
		if !asExit(err, &code) {
			ts.Fatalf("arc %v: %v", args[1:], err)
		}
		got = fmt.Sprint(code.ExitCode())
	}
	if got != want {
		ts.Fatalf("arc %v exits %s, want %s; stderr:\n%s", args[1:], got, want, ts.ReadFile("stderr"))
	}
}

func asExit(err error, code *interface{ ExitCode() int }) bool {
	c, ok := err.(interface{ ExitCode() int })
	if ok {
		*code = c
	}
	return ok
}

var tempers = map[string]func() *fakearc.Server{
	"three":     three,
	"follower":  follower,
	"evicting":  evicting,
	"alone":     alone,
	"no-leader": noLeader,
	"joining":   joining,
	"mute":      mute,
	"tricky":    tricky,
}

var founded = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

func threeStatus() *arcv1.StatusResponse {
	member := func(id uint64, name, monitors string) *arcv1.MemberStatus {
		return &arcv1.MemberStatus{Id: id, Name: name, Incarnation: 18446744073709551600 + id, Addresses: []string{fmt.Sprintf("10.0.0.%d:7400", id)},
			Voter: true, Monitors: monitors, Alive: true, State: "alive", Version: "1.4.0", Progress: &arcv1.Progress{Index: 40 + id, Lag: 3 - id}}
	}
	return &arcv1.StatusResponse{
		Cluster: "arc", RingId: "7f3a", Epoch: 12, Term: 1767323046, Self: "n2", SelfId: 2, Phase: "member", Version: "test",
		Leader: &arcv1.NodeRef{Id: 2, Name: "n2"}, Claiming: true, LeaseMs: 412.5, Heir: "n1",
		Members: []*arcv1.MemberStatus{member(1, "n1", "n2"), member(2, "n2", "n3"), member(3, "n3", "n1")},
		Settings: &arcv1.Settings{Profile: "lan", LeaderIntervalMs: 100, LeaderMisses: 5, IntervalMs: 200, Misses: 5, LeaseMs: 500,
			DriftPpm: 10000, StaggerMs: 25, HangAfterMs: 5000, MaxVoters: 7, GraceMs: 500, ForgetAfterS: 604800},
		StateHash: "ab12", Reason: "this node leads, token 1767323046", VotesNeeded: 2, Voters: []uint64{1, 2, 3},
		CanLose: 1, LeaderSince: timestamppb.New(founded.Add(2 * time.Minute)), LeaderForMs: 754_000,
		Departed: []*arcv1.DepartedMember{
			{Id: 4, Name: "n4", At: timestamppb.New(founded.Add(3 * time.Minute)), How: "left"},
			{Id: 5, Name: "n5", At: timestamppb.New(founded.Add(4 * time.Minute)), How: "evicted", Evidence: "silent", SeenBy: "n3"},
		},
	}
}

// three is a ring of three, asked at its leader.
func three() *fakearc.Server {
	settings := threeStatus().GetSettings()
	return &fakearc.Server{
		StatusFunc: func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) { return threeStatus(), nil },
		HistoryFunc: func(_ context.Context, r *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
			h := &arcv1.HistoryResponse{Entries: []*arcv1.HistoryEntry{
				{Term: 1767323044, Name: "n1", Id: 1, Since: timestamppb.New(founded), Why: "lowest id", Claimed: true,
					Interruptions: []*arcv1.Interruption{
						{Since: timestamppb.New(founded.Add(10 * time.Second)), GapMs: 120.5, Times: 1, TotalMs: 120.5, Evidence: "unanswered", Why: "the lease ran out: too few voters answer"},
						{Since: timestamppb.New(founded.Add(20 * time.Second)), GapMs: 700, Times: 3, TotalMs: 1200, Evidence: "unanswered", Why: "the lease ran out: too few voters answer"},
					}},
				{Term: 1767323045, Name: "n3", Id: 3, Since: timestamppb.New(founded.Add(time.Minute)), Why: "next by id", GapMs: 620.125, CertainGapMs: 118.75, Claimed: true, Evidence: "silent", After: "n1",
					SeenBy: "n2", Phases: &arcv1.Phases{DetectedUs: 501_250, PromisesEndedUs: 96_431, CampaignUs: 96_431, ElectedUs: 98_007}},
				{Term: 1767323046, Name: "n2", Id: 2, Since: timestamppb.New(founded.Add(2 * time.Minute)), Why: "next by id", GapMs: 4.625, CertainGapMs: 4.625, Claimed: true, Evidence: "certified", After: "n3",
					SeenBy: "n3", Phases: &arcv1.Phases{ElectedUs: 1712, DeclaredUs: 2904, FirstClaimUs: 3120}},
				{Term: 1767329046, Name: "n2", Id: 2, Since: timestamppb.New(founded.Add(time.Hour)), Why: "led last and is still alive", GapMs: 4250, CertainGapMs: 3750,
					GapAtLeast: true, Claimed: true, Evidence: "restarted", After: "n2", SeenBy: "n2"},
			}}
			if n := int(r.GetLimit()); n > 0 && n < len(h.Entries) {
				h.Entries = h.Entries[len(h.Entries)-n:]
			}
			return h, nil
		},
		WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
			head := func(after time.Duration, epoch, term uint64, node string) *arcv1.Event {
				return &arcv1.Event{Time: timestamppb.New(founded.Add(after)), Epoch: epoch, Term: term, Node: node}
			}
			for _, ev := range []*arcv1.Event{
				fakearc.Event(head(0, 12, 1767323046, "n2"), "snapshot", map[string]any{"leader": map[string]any{"id": "2", "name": "n2"}, "heir": "n1", "members": []any{map[string]any{"name": "n1"}, map[string]any{"name": "n2"}}}),
				fakearc.Event(head(time.Second, 13, 1767323046, "n1"), "evicted", map[string]any{"id": "1", "incarnation": "7", "evidence": "certified", "by": "n3"}),
				fakearc.Event(head(2*time.Second, 13, 1767323047, "n2"), "claim_gained", map[string]any{"term": "1767323047", "why": "declared", "phases": map[string]any{
					"detected_us": 0, "promises_ended_us": 0, "campaign_us": 12, "elected_us": 1712, "declared_us": 2904, "first_claim_us": 3120}}),
			} {
				if err := w.Send(&arcv1.WatchResponse{Event: ev}); err != nil {
					return err
				}
			}
			return nil // ends the stream: the coordinator goes away
		},
		ForgetFunc: func(_ context.Context, r *arcv1.ForgetRequest) (*arcv1.ForgetResponse, error) {
			if r.GetName() != "n4" {
				return nil, status.Errorf(codes.NotFound, "not a member, nor a former one that is listed: %q", r.GetName())
			}
			return &arcv1.ForgetResponse{Id: 4}, nil
		},
		HandoverFunc: func(_ context.Context, r *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
			if r.GetName() == "n9" {
				return nil, status.Error(codes.NotFound, `not a member: "n9"`)
			}
			return &arcv1.HandoverResponse{Term: 1767323047, Leader: &arcv1.NodeRef{Id: 1, Name: "n1"}}, nil
		},
		LeaveFunc: func(context.Context, *arcv1.LeaveRequest) (*arcv1.LeaveResponse, error) {
			return &arcv1.LeaveResponse{Epoch: 13}, nil
		},
		EvictFunc: func(context.Context, *arcv1.EvictRequest) (*arcv1.EvictResponse, error) {
			return &arcv1.EvictResponse{Epoch: 13}, nil
		},
		RelinkFunc: func(_ context.Context, r *arcv1.RelinkRequest) (*arcv1.RelinkResponse, error) {
			target := r.GetTarget()
			if target == "" {
				target = "n3"
			}
			return &arcv1.RelinkResponse{Epoch: 12, Target: target}, nil
		},
		GetSettingsFunc: func(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
			return &arcv1.GetSettingsResponse{Settings: settings, Epoch: 12}, nil
		},
		SetSettingsFunc: func(_ context.Context, r *arcv1.SetSettingsRequest) (*arcv1.SetSettingsResponse, error) {
			if v := r.GetChanges()["lease_ms"]; v != "" && v != "300" {
				return nil, status.Errorf(codes.InvalidArgument, "lease_ms = %s is not between 30 and 600000", v)
			}
			changed := threeStatus().GetSettings()
			changed.LeaseMs, changed.Profile = 300, "custom"
			if r.GetChanges()["max_voters"] == "4" {
				changed.MaxVoters = 4
			}
			return &arcv1.SetSettingsResponse{Settings: changed, Epoch: 13}, nil
		},
	}
}

// follower is the same ring, asked at a follower.
func follower() *fakearc.Server {
	s := three()
	s.StatusFunc = func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		st := threeStatus()
		st.Self, st.SelfId, st.Claiming, st.LeaseMs = "n3", 3, false, 0
		return st, nil
	}
	return s
}

// alone is a member without others: its monitor has nobody to dial.
func alone() *fakearc.Server {
	s := three()
	s.RelinkFunc = func(context.Context, *arcv1.RelinkRequest) (*arcv1.RelinkResponse, error) {
		return &arcv1.RelinkResponse{Epoch: 12}, nil
	}
	return s
}

// evicting has just evicted member 4, whose vote raft still counts.
func evicting() *fakearc.Server {
	s := three()
	s.StatusFunc = func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		st := threeStatus()
		st.VotesNeeded, st.Voters = 3, []uint64{1, 2, 3, 4}
		return st, nil
	}
	return s
}

func noLeader() *fakearc.Server {
	s := three()
	s.StatusFunc = func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		st := threeStatus()
		st.Leader, st.Claiming, st.LeaseMs, st.Reason = nil, false, 0, "no leader known: needs one of n1, n3"
		st.CanLose, st.Needed, st.NeededOf, st.LeaderSince, st.LeaderForMs = 0, 1, []string{"n1", "n3"}, nil, 0
		st.Members[0].Alive, st.Members[0].State = false, "unheard"
		st.Members[2].Alive, st.Members[2].State = false, "" // as older coordinators have it
		return st, nil
	}
	none := status.Error(codes.Unavailable, "no leader: 2 of 3 voters are silent")
	s.HandoverFunc = func(context.Context, *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) { return nil, none }
	s.EvictFunc = func(context.Context, *arcv1.EvictRequest) (*arcv1.EvictResponse, error) { return nil, none }
	s.ForgetFunc = func(context.Context, *arcv1.ForgetRequest) (*arcv1.ForgetResponse, error) { return nil, none }
	s.LeaveFunc = func(context.Context, *arcv1.LeaveRequest) (*arcv1.LeaveResponse, error) { return nil, none }
	s.SetSettingsFunc = func(context.Context, *arcv1.SetSettingsRequest) (*arcv1.SetSettingsResponse, error) { return nil, none }
	return s
}

// joining has not entered a ring yet.
func joining() *fakearc.Server {
	return &fakearc.Server{
		StatusFunc: func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
			return &arcv1.StatusResponse{Cluster: "arc", Self: "n1", Phase: "joining", Settings: &arcv1.Settings{}, Reason: "nobody answers the hellos"}, nil
		},
		HistoryFunc: func(context.Context, *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
			return &arcv1.HistoryResponse{}, nil
		},
		GetSettingsFunc: func(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
			return &arcv1.GetSettingsResponse{Settings: &arcv1.Settings{}}, nil
		},
	}
}

// mute takes every call and answers none.
func mute() *fakearc.Server {
	return &fakearc.Server{
		StatusFunc: func(ctx context.Context, _ *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		},
		WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
			<-w.Context().Done()
			return nil
		},
	}
}

// tricky has names that a careless printer would spoil.
func tricky() *fakearc.Server {
	s := three()
	s.StatusFunc = func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		st := threeStatus()
		st.Leader.Name, st.Members[1].Name = "<n&2>", "<n&2>"
		st.Reason = "a \"quoted\"\treason: ünï"
		return st, nil
	}
	return s
}
