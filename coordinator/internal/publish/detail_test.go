package publish

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// A detail is what the message's contract JSON reads as.
func TestDetailIsTheJSON(t *testing.T) {
	v := testView(t)
	l := ring.Leadership{Term: 1<<63 + 1, Name: "n2", ID: 2, Since: 1_700_000_000_123_456, Why: "lowest \"id\"", Gap: 12_345, Evidence: ring.Certified,
		Phases: ring.Phases{PromisesEnded: 3, Campaign: 4, Elected: 1_800}}
	messages := []proto.Message{
		statusToWire(Identity{Cluster: "c", Name: "n1", Version: "v"}, v, 0, testEvents().wall()),
		statusToWire(Identity{}, &View{Phase: Joining, Ring: &ring.State{}}, 0, testEvents().wall()),
		leadershipToWire(l), leadershipToWire(ring.Leadership{}),
		SettingsToWire(profileOf(t, "realtime")), &arcv1.Settings{},
	}
	for _, ns := range []int{0, 120, 120_000, 120_000_000, 123_456_789, 100_000_000} {
		messages = append(messages, &arcv1.HistoryEntry{Since: timestamppb.New(time.Unix(1_700_000_000, int64(ns)))})
	}
	for _, m := range messages {
		b, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want := &structpb.Struct{}
		if err := protojson.Unmarshal(b, want); err != nil {
			t.Fatal(err)
		}
		if got := detailOf(m); !proto.Equal(got, want) {
			t.Errorf("detail of %T is %v\nwant %v", m, got, want)
		}
	}
}

// BenchmarkDeclaredEvent is what a declaration costs every node on the way to
// its subscribers.
func BenchmarkDeclaredEvent(b *testing.B) {
	l := ring.Leadership{Term: 9, Name: "n2", ID: 2, Since: 1_700_000_000_000_000, Why: "lowest id", Gap: 12_345, Evidence: ring.Certified, SeenBy: "n1", After: "n1",
		Phases: ring.Phases{PromisesEnded: 3, Campaign: 4, Elected: 1_800}}
	s := &ring.State{Epoch: 9, Term: 9}
	changes := []ring.Change{{Kind: ring.LeaderDeclared, Member: ring.Member{ID: 2, Name: "n2"}, Leadership: &l}}
	b.ReportAllocs()
	for b.Loop() {
		testEvents().Changes(s, changes)
	}
}

// BenchmarkStatus is a status of a large ring.
func BenchmarkStatus(b *testing.B) {
	v := &View{Phase: Member, ID: 1, RingID: "r", Ring: largeRing(b, 100)}
	o := Identity{Cluster: "c", Name: "n1"}
	b.ReportAllocs()
	for b.Loop() {
		statusToWire(o, v, 0, testEvents().wall())
	}
}

func largeRing(b *testing.B, members int) *ring.State {
	b.Helper()
	settings, err := ring.ProfileSettings("lan")
	if err != nil {
		b.Fatal(err)
	}
	s := &ring.State{}
	apply := func(c ring.Command) {
		if _, err := s.Apply(1, c); err != nil {
			b.Fatal(err)
		}
	}
	apply(ring.Command{Found: &ring.Found{Cluster: "c", RingID: "r", Settings: settings, Founder: ring.Member{Name: "n0", Incarnation: 1, Addresses: []string{"127.0.0.1:7400"}}}})
	for i := 1; i < members; i++ {
		apply(ring.Command{Join: &ring.Join{Member: ring.Member{Name: "n" + string(rune('A'+i/26)) + string(rune('a'+i%26)), Incarnation: 1, Addresses: []string{"127.0.0.1:7400"}}}})
	}
	return s
}
