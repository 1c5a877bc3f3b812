package ring

import "fmt"

// LogVersion is the newest version of the log that this ARC reads, and
// firstLogVersion the oldest one that it writes. Version 1 was JSON, and version
// 2 is protobuf. Who needs a newer one writes it once State.LogVersion says that
// every member reads it.
const (
	LogVersion      = 2
	firstLogVersion = 2
)

// Require raises State.LogVersion: from here on entries and snapshots may need a
// reader of that version. It changes no ring, and no epoch counts it.
type Require struct {
	LogVersion uint32 `json:"-"`
}

func (s *State) require(r Require) error {
	if r.LogVersion <= s.LogVersion {
		return fmt.Errorf("%w: log version %d is required, %d already is", ErrStale, r.LogVersion, s.LogVersion)
	}
	if everybody := s.ReadableByAll(); r.LogVersion > everybody {
		return fmt.Errorf("%w: log version %d is required, the members read %d", ErrInvalid, r.LogVersion, everybody)
	}
	s.LogVersion = r.LogVersion
	return nil
}

// ReadableByAll returns the newest log version that every member reads.
func (s *State) ReadableByAll() uint32 {
	lowest := uint32(LogVersion)
	for i := range s.Members {
		lowest = min(lowest, s.Members[i].LogVersion)
	}
	return lowest
}

// readsLog refuses a member that cannot read what the log may hold.
func (s *State) readsLog(name string, version uint32) error {
	if version < s.LogVersion {
		return fmt.Errorf("%w: the ring's log needs version %d, and the ARC of %q reads up to %d; install a newer one there", ErrInvalid, s.LogVersion, name, version)
	}
	return nil
}
