package ring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Log version 1 was JSON. It is read and never written.

// isOld reports whether a record is JSON. No record of a later version begins so.
func isOld(b []byte) bool { return len(b) > 0 && b[0] == '{' }

// decodeOldCommand refuses unknown fields and anything but exactly one command.
func decodeOldCommand(b []byte) (Command, error) {
	var c Command
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Command{}, err
	}
	if d.More() {
		return Command{}, errors.New("trailing bytes")
	}
	n := 0
	for _, set := range []bool{c.Join != nil, c.Leave != nil, c.Evict != nil, c.Declare != nil, c.Appoint != nil, c.Settings != nil, c.Return != nil, c.Seal != nil, c.Timed != nil, c.Interrupted != nil, c.Forget != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return Command{}, fmt.Errorf("%d commands in one entry, want 1", n)
	}
	return decodeCommand(c.Encode()) // refuses words that are in no set
}

func decodeOldSnapshot(b []byte) (snapshot, error) {
	var old snapshot
	if err := json.Unmarshal(b, &old); err != nil {
		return snapshot{}, err
	}
	return decodeSnapshot(old.Ring.Snapshot(old.Gone...))
}
