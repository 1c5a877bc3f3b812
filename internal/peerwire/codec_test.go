package peerwire

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

func snapMessage() *raftpb.Message {
	return &raftpb.Message{
		Type: raftpb.MsgSnap.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(6)),
		Snapshot: &raftpb.Snapshot{Data: []byte("state"), Metadata: &raftpb.SnapshotMetadata{
			Index: new(uint64(9)), Term: new(uint64(5)), ConfState: &raftpb.ConfState{Voters: []uint64{1, 2}},
		}},
	}
}

func raftMessage(edit func(*raftpb.Message)) election.Message {
	m := &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(6))}
	edit(m)
	return election.Message{From: 1, To: 2, Raft: m}
}

// bulk is a raft message with a payload.
func bulk(from, to, seq uint64, size int) election.Message {
	return election.Message{From: from, To: to, Raft: &raftpb.Message{
		Type: raftpb.MsgApp.Enum(), From: new(from), To: new(to), Term: new(uint64(5)), LogTerm: new(uint64(5)), Index: new(seq - 1),
		Entries: []*raftpb.Entry{{Term: new(uint64(5)), Index: new(seq), Data: make([]byte, size)}},
	}}
}

// everyBody has each body once or more.
func everyBody() map[string]election.Message {
	return map[string]election.Message{
		"heartbeat":          raftMessage(func(m *raftpb.Message) { m.Commit = new(uint64(4)) }),
		"append":             bulk(1, 2, 7, 40),
		"snapshot":           {From: 1, To: 2, Raft: snapMessage()},
		"renew":              {From: 1, To: 2, Renew: &election.Renew{Term: 3, Seq: 4, Incarnation: 5, Lease: 150 * time.Millisecond, Claims: true, Acked: 3}},
		"renew with a grant": {From: 1, To: 2, Renew: &election.Renew{Term: 3, Seq: 4, Incarnation: 5, Lease: 50 * time.Millisecond, Watcher: 7, Grant: 1 << 60}},
		"testimony":          {From: 1, To: 2, Opinion: &ring.Opinion{ID: 3, Incarnation: 5, Term: 9, By: 1, Word: ring.GrantExpired{Grant: 1 << 60, Evidence: ring.Silent}}},
		"doubt":              {From: 1, To: 2, Opinion: &ring.Opinion{ID: 3, Incarnation: 5, Term: 9, By: 1, Word: ring.Doubt{}}},
		"takeover":           {From: 1, To: 2, Takeover: &election.Takeover{Term: 5, Answer: true, Able: true, Reached: 2}},
		"check":              {From: 1, To: 2, Check: &election.Check{}},
		"check answered":     {From: 1, To: 2, Check: &election.Check{Answer: true}},
		"unwatched":          {From: 1, To: 2, Unwatched: &election.Unwatched{}},
		"inspect":            {From: 1, To: 2, Inspect: &election.Inspect{ID: 3, Incarnation: 99}},
		"renew-ack":          {From: 1, To: 2, RenewAck: &election.RenewAck{Term: 3, Seq: math.MaxUint64}},
		"suspicion":          {From: 1, To: 2, Opinion: &ring.Opinion{ID: 4, Incarnation: 5, Term: 6, By: 7, Word: ring.Suspect{Evidence: ring.Silent}}},
		"suspicion-cleared":  {From: 1, To: 2, Opinion: &ring.Opinion{ID: 4, Incarnation: 5, Term: 6, By: 7, Word: ring.Clear{}}},
		"certificate":        {From: 1, To: 2, Certificate: &election.Certificate{Name: "n4", ID: 4, Incarnation: 5, Exit: "signal: killed", Clean: true}},
		"release":            {From: 1, To: 2, Release: &election.Release{Term: 3, Seq: 8, ID: 1, Incarnation: 5}},
		"evicted":            {From: 1, To: 2, Evicted: &election.EvictedNotice{RingID: "r", ID: 2, Epoch: 9}},
		"return":             {From: 1, To: 2, Return: &election.Return{Return: ring.Return{ID: 1, Incarnation: 6, Addresses: []string{"10.0.0.1:7400", "[::1]:7400"}, Version: "dev", LogVersion: 2}, Former: []uint64{5, 4}, Last: 7, Term: 3, Ask: true}},
	}
}

func TestCodecKeepsEveryBody(t *testing.T) {
	for name, want := range everyBody() {
		t.Run(name, func(t *testing.T) {
			env, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			wire, err := proto.Marshal(env)
			if err != nil {
				t.Fatal(err)
			}
			env = &peerv1.StreamRequest{}
			if err := proto.Unmarshal(wire, env); err != nil {
				t.Fatal(err)
			}
			got, err := Decode(env, 1, 2)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("changed on the way (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLastWords(t *testing.T) {
	held := election.Held{RingID: "r", ID: 2, Incarnation: 9, By: 8, Addresses: []string{"10.0.0.2:7400"}, Behind: true}
	if got, err := DecodeHeld(EncodeHeld(held).GetHeld()); err != nil || !cmp.Equal(got, held) {
		t.Errorf("%+v became %+v, %v", held, got, err)
	}
	for what, edit := range map[string]func(*election.Held){
		"by no process": func(h *election.Held) { h.By = 0 }, "to no process": func(h *election.Held) { h.Incarnation = 0 },
		"at an address that steers terminals": func(h *election.Held) { h.Addresses = []string{"\x1b[2J:1"} },
	} {
		h := held
		edit(&h)
		if got, err := DecodeHeld(EncodeHeld(h).GetHeld()); !errors.Is(err, ErrMalformed) {
			t.Errorf("held %s: %+v, %v", what, got, err)
		}
	}
	evicted := election.EvictedNotice{RingID: "r", ID: 2, Epoch: 9}
	if got := DecodeEvicted(EncodeEvicted(evicted).GetEvicted()); got != evicted {
		t.Errorf("%+v became %+v", evicted, got)
	}
}

func TestEncodeRefuses(t *testing.T) {
	two := election.Message{From: 1, To: 2, Renew: &election.Renew{}, RenewAck: &election.RenewAck{}}
	for _, tc := range []struct {
		name string
		m    election.Message
		want error
	}{
		{"no body", election.Message{From: 1, To: 2}, ErrMalformed},
		{"two bodies", two, ErrMalformed},
		{"too large", bulk(1, 2, 1, limits.Envelope), ErrTooLarge},
	} {
		if _, err := Encode(tc.m); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if _, err := Encode(bulk(1, 2, 1, limits.Envelope-200)); err != nil {
		t.Errorf("just small enough: %v", err)
	}
}

func TestEncodeMendsText(t *testing.T) {
	env, err := Encode(election.Message{From: 1, To: 2, Certificate: &election.Certificate{ID: 1, Incarnation: 2, Name: "n\xff", Exit: "\x1b" + strings.Repeat("é", limits.Text)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proto.Marshal(env); err != nil {
		t.Error(err)
	}
	if m, err := Decode(env, 1, 2); err != nil || m.Certificate.Name != `n\xff` || len(m.Certificate.Exit) > limits.Text || !strings.HasPrefix(m.Certificate.Exit, `\x1bé`) || !strings.HasSuffix(m.Certificate.Exit, "é…") {
		t.Errorf("got %+v, %v", m.Certificate, err)
	}
}

func entry(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: new(index), Term: new(term)}
}

func TestDecodeRefusesRaft(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(m *raftpb.Message)
	}{
		{"from another", func(m *raftpb.Message) { m.From = new(uint64(3)) }},
		{"to another", func(m *raftpb.Message) { m.To = new(uint64(3)) }},
		{"no term", func(m *raftpb.Message) { m.Term = nil }},
		{"local: hup", func(m *raftpb.Message) { m.Type = raftpb.MsgHup.Enum() }},
		{"local: unreachable", func(m *raftpb.Message) { m.Type = raftpb.MsgUnreachable.Enum() }},
		{"local: forget leader", func(m *raftpb.Message) { m.Type = raftpb.MsgForgetLeader.Enum() }},
		{"local: storage", func(m *raftpb.Message) { m.Type = raftpb.MsgStorageAppendResp.Enum() }},
		{"unknown type", func(m *raftpb.Message) { m.Type = raftpb.MessageType(99).Enum() }},
		{"no type", func(m *raftpb.Message) { m.Type = nil }},
		{"storage answers", func(m *raftpb.Message) { m.Responses = []*raftpb.Message{{}} }},
		{"local: beat", func(m *raftpb.Message) { m.Type = raftpb.MsgBeat.Enum() }},
		{"proposal", func(m *raftpb.Message) { m.Type, m.Entries = raftpb.MsgProp.Enum(), []*raftpb.Entry{entry(0, 0)} }},
		{"read", func(m *raftpb.Message) { m.Type, m.Entries = raftpb.MsgReadIndex.Enum(), []*raftpb.Entry{entry(0, 0)} }},
		{"read answered", func(m *raftpb.Message) { m.Type = raftpb.MsgReadIndexResp.Enum() }},
		{"transfer", func(m *raftpb.Message) { m.Type = raftpb.MsgTransferLeader.Enum() }},
		{"a term beyond all", func(m *raftpb.Message) { m.Term = new(uint64(ring.TermLimit)) }},
		{"a log term beyond all", func(m *raftpb.Message) { m.LogTerm = new(uint64(math.MaxUint64)) }},
		{"an index beyond all", func(m *raftpb.Message) { m.Index = new(uint64(election.IndexLimit)) }},
		{"a commit beyond all", func(m *raftpb.Message) { m.Commit = new(uint64(math.MaxUint64)) }},
		{"a context", func(m *raftpb.Message) { m.Context = []byte{1} }},
		{"a novel of a context", func(m *raftpb.Message) { m.Type, m.Context = raftpb.MsgVote.Enum(), make([]byte, 1000) }},
		{"a heartbeat with an entry", func(m *raftpb.Message) { m.Entries = []*raftpb.Entry{entry(1, 1)} }},
		{"a heartbeat with a snapshot", func(m *raftpb.Message) { m.Snapshot = snapMessage().Snapshot }},
		{"a snapshot beyond all", func(m *raftpb.Message) {
			proto.Merge(m, snapMessage())
			m.Type, m.Snapshot.Metadata.Index = raftpb.MsgSnap.Enum(), new(uint64(election.IndexLimit))
		}},
		{"no snapshot", func(m *raftpb.Message) { m.Type = raftpb.MsgSnap.Enum() }},
		{"snapshot of a later term", func(m *raftpb.Message) { proto.Merge(m, snapMessage()); m.Term = new(uint64(4)) }},
		{"gap", func(m *raftpb.Message) {
			m.Type, m.Index, m.LogTerm, m.Entries = raftpb.MsgApp.Enum(), new(uint64(4)), new(uint64(2)), []*raftpb.Entry{entry(5, 2), entry(7, 2)}
		}},
		{"gap at the start", func(m *raftpb.Message) {
			m.Type, m.Index, m.LogTerm, m.Entries = raftpb.MsgApp.Enum(), new(uint64(4)), new(uint64(2)), []*raftpb.Entry{entry(6, 2)}
		}},
		{"falling term", func(m *raftpb.Message) {
			m.Type, m.Index, m.LogTerm, m.Entries = raftpb.MsgApp.Enum(), new(uint64(4)), new(uint64(3)), []*raftpb.Entry{entry(5, 2)}
		}},
		{"entry of a later term", func(m *raftpb.Message) {
			m.Type, m.Index, m.LogTerm, m.Entries = raftpb.MsgApp.Enum(), new(uint64(4)), new(uint64(2)), []*raftpb.Entry{entry(5, 7)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env, err := Encode(raftMessage(tc.edit))
			if err != nil {
				t.Fatal(err)
			}
			if m, err := Decode(env, 1, 2); !errors.Is(err, ErrMalformed) {
				t.Errorf("decoded as %v, %v; want ErrMalformed", m.Raft, err)
			}
		})
	}
}

// What a vote, its answer and the word that appoints a leader say in their
// context gets through.
func TestDecodeTakesTheContextsOfElections(t *testing.T) {
	for _, kind := range []raftpb.MessageType{raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNow} {
		context := bytes.Repeat([]byte{7}, 40) // four numbers of ten bytes
		env, err := Encode(raftMessage(func(m *raftpb.Message) { m.Type, m.Context = kind.Enum(), context }))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := Decode(env, 1, 2); err != nil || !bytes.Equal(m.Raft.GetContext(), context) {
			t.Errorf("%v: decoded as %v, %v", kind, m.Raft, err)
		}
	}
}

func suspect(e ring.Evidence) *peerv1.Opinion_Suspect {
	return &peerv1.Opinion_Suspect{Suspect: &peerv1.Suspect{Evidence: e.Number()}}
}

func TestDecodeRefusesOthers(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  *peerv1.StreamRequest
	}{
		{"nothing", &peerv1.StreamRequest{}},
		{"raft noise", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Raft{Raft: []byte{0xff}}}},
		{"no raft", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Raft{}}},
		{"renewal for nothing", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{Renew: &peerv1.Renew{Term: 1}}}},
		{"renewal without a term", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{Renew: &peerv1.Renew{LeaseUs: 1}}}},
		{"renewal for fifty minutes", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{Renew: &peerv1.Renew{Term: 1, LeaseUs: 3_000_000_000}}}},
		{"renewal of a term beyond all", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{Renew: &peerv1.Renew{Term: ring.TermLimit, LeaseUs: 1}}}},
		{"ack of a promise beyond all", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_RenewAck{RenewAck: &peerv1.RenewAck{Term: 1, LeaseUs: 3_000_000_000}}}},
		{"suspicion in a term beyond all", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Opinion{Opinion: &peerv1.Opinion{Id: 1, Body: suspect(ring.Silent), Term: ring.TermLimit}}}},
		{"certificate for no process", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Certificate{Certificate: &peerv1.Certificate{Id: 1, Name: "n"}}}},
		{"certificate for a name that steers terminals", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Certificate{Certificate: &peerv1.Certificate{Id: 1, Incarnation: 1, Name: "n\x1b[2J"}}}},
		{"certificate with an exit that steers terminals", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Certificate{Certificate: &peerv1.Certificate{Id: 1, Incarnation: 1, Name: "n", Exit: "\x1b[2J"}}}},
		{"release in a term beyond all", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Release{Release: &peerv1.Release{Id: 1, Term: ring.TermLimit}}}},
		{"return of no process", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Return{Return: &peerv1.Return{Id: 1}}}},
		{"return to an address that steers terminals", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Return{Return: &peerv1.Return{Id: 1, Incarnation: 1, Addresses: []string{"\x1b[2J:1"}}}}},
		{"renewal for ever", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{Renew: &peerv1.Renew{Term: 1, LeaseUs: math.MaxUint64}}}},
		{"ack without a term", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_RenewAck{RenewAck: &peerv1.RenewAck{Seq: 1}}}},
		{"suspicion of nobody", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Opinion{Opinion: &peerv1.Opinion{Body: suspect(ring.Silent)}}}},
		{"suspicion for no reason", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Opinion{Opinion: &peerv1.Opinion{Id: 1, Body: suspect("")}}}},
		{"suspicion for a strange reason", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Opinion{Opinion: &peerv1.Opinion{Id: 1, Body: suspect(ring.Operator)}}}},
		{"opinion of nothing", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Opinion{Opinion: &peerv1.Opinion{Id: 1}}}},
		{"certificate for nobody", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Certificate{Certificate: &peerv1.Certificate{Name: "n"}}}},
		{"certificate with a novel", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Certificate{Certificate: &peerv1.Certificate{Id: 1, Exit: string(make([]byte, 2000))}}}},
		{"release of nothing", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Release{Release: &peerv1.Release{Id: 1}}}},
		{"evicted nobody", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Evicted{Evicted: &peerv1.Evicted{}}}},
		{"return of nobody", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Return{Return: &peerv1.Return{}}}},
		{"return to everywhere", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Return{Return: &peerv1.Return{Id: 1, Addresses: make([]string, 65)}}}},
		{"return to a long address", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Return{Return: &peerv1.Return{Id: 1, Addresses: []string{string(make([]byte, 2000))}}}}},
		{"hello", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: &peerv1.PeerHello{Id: 1}}}},
		{"nil inside", &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Renew{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if m, err := Decode(tc.env, 1, 2); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "%!") {
				t.Errorf("decoded as %+v, %v; want ErrMalformed", m, err)
			}
		})
	}
}

var rewrite = flag.Bool("rewrite", false, "write the fuzz seeds again")

// The seeds of FuzzDecode are one good envelope of each kind.
func TestFuzzSeedsAreFresh(t *testing.T) {
	for name, m := range everyBody() {
		env, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(env)
		if err != nil {
			t.Fatal(err)
		}
		want := "go test fuzz v1\n[]byte(" + strconv.Quote(string(wire)) + ")\n"
		path := filepath.Join("testdata", "fuzz", "FuzzDecode", name)
		if *rewrite {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is stale (%v); run go test -run Seeds -rewrite", path, err)
		}
	}
}

// Whatever decodes encodes again, and means the same.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, wire []byte) {
		env := &peerv1.StreamRequest{}
		if proto.Unmarshal(wire, env) != nil {
			return
		}
		m, err := Decode(env, 1, 2)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("refused with %v, want ErrMalformed", err)
			}
			return
		}
		again, err := Encode(m)
		if err != nil {
			t.Fatalf("does not encode: %v", err)
		}
		m2, err := Decode(again, 1, 2)
		if err != nil {
			t.Fatalf("does not decode again: %v", err)
		}
		if diff := cmp.Diff(m, m2, protocmp.Transform()); diff != "" {
			t.Fatalf("changed (-first +second):\n%s", diff)
		}
	})
}
