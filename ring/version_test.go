package ring

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// one command of each kind, with every field.
var commands = []Command{
	{Ref: 1, Join: &Join{Member: Member{ID: 1, Name: "a", Incarnation: 2, Addresses: []string{"a:1", "[::1]:2"}, Witness: true, OnJoin: Lead, Nonce: 3, Version: "v1", LogVersion: 2}, Replaces: 4}},
	{Ref: 2, Leave: &Leave{ID: 1, At: 2}},
	{Ref: 3, Evict: &Evict{ID: 1, Incarnation: 2, Evidence: Silent, By: 3, At: 4}},
	{Ref: 4, Declare: &Declare{Term: 1, ID: 2, Incarnation: 3, Evict: []Evict{{ID: 4, Evidence: Certified}, {ID: 5, Evidence: Reset}}, Since: -5, Gap: 6, CertainGap: 7,
		GapAtLeast: true, Why: "w", Clean: true, Evidence: BornAgain, By: 8, Phases: Phases{1, 2, 3, 4, 5, 6}}},
	{Ref: 5, Appoint: &Appoint{To: 1, Why: "w"}},
	{Ref: 6, Settings: &Settings{"p", 1, 2, true, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
	{Ref: 7, Return: &Return{ID: 1, Incarnation: 2, Addresses: []string{"a:1"}, Version: "v1", LogVersion: 2}},
	{Ref: 8, Seal: &Seal{Voters: []uint64{1, 2}}},
	{Ref: 9, Timed: &Timed{Term: 1, Declared: 2, FirstClaim: 3, ClaimAfter: 4}},
	{Ref: 10, Interrupted: &Interrupted{Term: 1, Interruption: Interruption{Since: 2, Gap: 3, Total: 4, Times: 5, Evidence: Unanswered, Why: "w"}}},
	{Ref: 11, Forget: &Forget{IDs: []uint64{1}}},
	{Require: &Require{LogVersion: 2}},
}

func TestCommandsSurviveTheLog(t *testing.T) {
	kinds := reflect.TypeFor[Command]().NumField() - 2 // without Ref, and Found is in no log
	if len(commands) != kinds {
		t.Errorf("%d commands, want one of each of %d kinds", len(commands), kinds)
	}
	for _, c := range commands {
		if got, err := DecodeCommand(c.Encode()); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v became %v, %v", c, got, err)
		}
	}
}

// A newer ARC may add a field to a record, and an older one leaves it out. What
// must not be left out comes with a newer log version, and is refused by name.
func TestNewerRecords(t *testing.T) {
	newField := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "new")
	version := func(b []byte, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), v) // the last one counts
	}
	leave := Command{Ref: 1, Leave: &Leave{ID: 2}}.Encode()
	if c, err := DecodeCommand(slices.Concat(leave, newField)); err != nil || c.Leave == nil || c.Leave.ID != 2 {
		t.Errorf("a leave with a new field is %v, %v", c, err)
	}
	state := founded(t, "a", "b")
	if s, _, err := Restore(slices.Concat(state.Snapshot(), newField)); err != nil || s.Hash() != state.Hash() {
		t.Errorf("a snapshot with a new field is refused, or another one: %v", err)
	}
	for what, b := range map[string][]byte{
		"new command":                  version(newField, LogVersion+1),
		"old command with a new sense": version(leave, LogVersion+1),
	} {
		if _, err := DecodeCommand(b); !errors.Is(err, ErrNewer) || err.Error() != "decode ring command: it needs an ARC that reads log version 3, this one reads up to 2" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := Restore(version(state.Snapshot(), LogVersion+1)); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer snapshot: %v", err)
	}
	for what, b := range map[string][]byte{"nothing": nil, "no command": newField, "noise": []byte("noise"), "word in no set": Command{Evict: &Evict{ID: 1, Evidence: "hunch"}}.Encode()} {
		if c, err := DecodeCommand(b); err == nil {
			t.Errorf("%s is %v", what, c)
		}
	}
}

func TestRequire(t *testing.T) {
	s := founded(t, "a", "b")
	before := s.Hash()
	refused := func(c Command, want string) {
		t.Helper()
		if _, err := s.Apply(1, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", c, err, want)
		}
	}
	refused(Command{Require: &Require{LogVersion: 2}}, "the members read 0")
	for id := range uint64(2) {
		must(t, s, 1, Command{Return: &Return{ID: 1 + id, Incarnation: 200, Addresses: []string{"a:1"}, LogVersion: 2}})
	}
	epoch := s.Epoch
	must(t, s, 1, Command{Require: &Require{LogVersion: 2}})
	if s.LogVersion != 2 || s.Epoch != epoch || s.Hash() == before {
		t.Errorf("log version %d in epoch %d, want 2 in %d", s.LogVersion, s.Epoch, epoch)
	}
	refused(Command{Require: &Require{LogVersion: 2}}, "2 already is")
	refused(Command{Require: &Require{LogVersion: 3}}, "the members read 2")
	refused(Command{Join: &Join{Member: member("c")}}, `the ARC of "c" reads up to 0`)
	refused(Command{Return: &Return{ID: 1, Incarnation: 300, Addresses: []string{"a:1"}, LogVersion: 1}}, `the ARC of "a" reads up to 1`)
	if r, _, err := Restore(s.Snapshot()); err != nil || r.LogVersion != 2 || r.Members[0].LogVersion != 2 {
		t.Errorf("restored as %+v, %v", r, err)
	}
}
