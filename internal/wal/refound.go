package wal

import (
	"errors"
	"fmt"
)

// Refound replaces all that the directory holds by b, under another identity, and
// returns when that is durable. After a crash it is either wholly there or not
// at all.
func (l *Log) Refound(id Identity, b Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if l.seg == nil {
		return fmt.Errorf("found the ring in data directory %s again: %w", l.dir, ErrFresh)
	}
	if err := errors.Join(id.validate(l.o), (&state{}).check(&b)); err != nil {
		return fmt.Errorf("found the ring in data directory %s again: %w", l.dir, err)
	}
	l.identity, l.state = id, state{}
	return l.next(&b)
}
