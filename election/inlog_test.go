package election

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// A declaration records the process of its leader as a return does. So it takes the
// place from another process as soon as it is in the log, and none from its own.
func TestADeclarationInTheLogRecordsItsProcess(t *testing.T) {
	const before, first, second = 10, 11, 12
	returned := func(inc uint64) ring.Command {
		return ring.Command{Return: &ring.Return{ID: 3, Incarnation: inc, Addresses: []string{"c:7400"}}}
	}
	declared := func(inc uint64) ring.Command { return ring.Command{Declare: &ring.Declare{ID: 3, Incarnation: inc}} }
	for _, c := range []struct {
		name     string
		log      []ring.Command
		counts   uint64
		replaced []uint64
	}{
		{"a declaration", []ring.Command{declared(first)}, first, []uint64{before, second}},
		{"a declaration after the return of a former process", []ring.Command{returned(first), declared(second)}, second, []uint64{before, first}},
		{"a declaration after the return of its process", []ring.Command{returned(first), declared(first)}, first, []uint64{before, second}},
		// It changes nothing, and so a process that came since may count.
		{"a declaration of the recorded process", []ring.Command{declared(before)}, first, nil},
	} {
		n := assemble(Config{ID: 2}, &ring.State{Members: []ring.Member{{ID: 3, Name: "c", Incarnation: before}}}, 0)
		n.conf = &raftpb.ConfState{Voters: []uint64{1, 2, 3}}
		var entries []*raftpb.Entry
		for i, cmd := range c.log {
			entries = append(entries, &raftpb.Entry{Index: new(uint64(i) + 1), Type: raftpb.EntryNormal.Enum(), Data: cmd.Encode()})
		}
		n.identity.noteReturns(entries)
		if n.identity.replacedInLog(3, c.counts) {
			t.Errorf("%s: process %d is replaced", c.name, c.counts)
		}
		for _, inc := range c.replaced {
			if !n.identity.replacedInLog(3, inc) {
				t.Errorf("%s: process %d is not replaced", c.name, inc)
			}
		}
	}
}
