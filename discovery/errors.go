package discovery

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrSeeking: another Seek is under way.
	ErrSeeking = errors.New("already looking for a ring")
	// ErrClosed: the service's Run has ended, or Close was called.
	ErrClosed = errors.New("discovery is closed")
	// ErrOptions: the options contradict themselves or the wire's limits.
	ErrOptions = errors.New("invalid discovery options")
	// ErrOtherNode: a founder asked for another node's word, at an address of
	// this one.
	ErrOtherNode = errors.New("another node")
	// ErrMalformed: a datagram that is not ours, too long, or breaks a rule.
	ErrMalformed = errors.New("malformed discovery datagram")
	// ErrNameInUse: see NameConflictError, which wraps it.
	ErrNameInUse = errors.New("node name is in use")
)

// NameConflictError says that another live coordinator of the cluster has this
// node's name and other addresses. It wraps ErrNameInUse.
type NameConflictError struct {
	Cluster string
	Name    string
	// Mine and Theirs are the advertised addresses, Source where their
	// datagram came from.
	Mine, Theirs []string
	Source       string
}

func (e *NameConflictError) Error() string {
	return fmt.Sprintf("node name %q of cluster %q is in use: a running coordinator at %s (heard from %s) has it, and so does this one at %s; give one of them another --name",
		e.Name, e.Cluster, strings.Join(e.Theirs, ","), e.Source, strings.Join(e.Mine, ","))
}

func (e *NameConflictError) Unwrap() error { return ErrNameInUse }
