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
func decodeOldCommand(b []byte) (c Command, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if d.More() {
		return c, errors.New("trailing bytes")
	}
	if n := len(c.kinds()); n != 1 {
		return c, fmt.Errorf("%d commands in one entry, want 1", n)
	}
	return decodeCommand(c.Encode()) // refuses words that are in no set
}

func decodeOldSnapshot(b []byte) (s snapshot, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, err
	}
	return decodeSnapshot(s.Ring.Snapshot(s.Gone...))
}
