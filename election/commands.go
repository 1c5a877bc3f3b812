package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// commandsKept bounds the commands that were decoded when their entries came in.
const commandsKept = 8

// commands are those of entries that came in and are not applied, oldest first.
// Most entries are applied within moments. To decode a declaration twice costs
// more than all else that a voter does with it.
type commands []decoded

// decoded is the command of an entry. Entries never change.
type decoded struct {
	entry   *raftpb.Entry
	command ring.Command
}

func (k commands) index(e *raftpb.Entry) int {
	return slices.IndexFunc(k, func(d decoded) bool { return d.entry == e })
}

// note keeps a command until its entry is applied.
func (k *commands) note(e *raftpb.Entry, c ring.Command) {
	if len(*k) == commandsKept {
		*k = slices.Delete(*k, 0, 1)
	}
	*k = append(*k, decoded{e, c})
}

// read returns what an entry says, and keeps it. The caller must not change it,
// and must keep no part of it.
func (k *commands) read(e *raftpb.Entry) (ring.Command, error) {
	if i := k.index(e); i >= 0 {
		return (*k)[i].command, nil
	}
	c, err := ring.DecodeCommand(e.GetData())
	if err == nil {
		k.note(e, c)
	}
	return c, err
}

// take returns what an entry says, and keeps it no longer. The caller may keep
// parts of it.
func (k *commands) take(e *raftpb.Entry) (ring.Command, error) {
	if i := k.index(e); i >= 0 {
		c := (*k)[i].command
		*k = slices.Delete(*k, i, i+1)
		return c, nil
	}
	return ring.DecodeCommand(e.GetData())
}
