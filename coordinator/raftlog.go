package coordinator

import (
	"fmt"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/raft/v3"
)

// raftLog gives raft's printf logger a place in ours. What raft calls Info is
// news only to somebody who reads raft, so it comes at Debug; election tells
// the same in ARC's words. Panic must panic: raft relies on it to stop at a
// broken invariant.
type raftLog struct{ log hclog.Logger }

var _ raft.Logger = raftLog{}

func (l raftLog) Debug(v ...any)              { l.log.Trace("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Info(v ...any)               { l.log.Debug("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Warning(v ...any)            { l.log.Warn("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Error(v ...any)              { l.log.Error("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Fatal(v ...any)              { l.Panic(v...) }
func (l raftLog) Fatalf(f string, v ...any)   { l.Panicf(f, v...) }
func (l raftLog) Warningf(f string, v ...any) { l.Warning(fmt.Sprintf(f, v...)) }
func (l raftLog) Errorf(f string, v ...any)   { l.Error(fmt.Sprintf(f, v...)) }

// The level is asked first: at rest raft formats several of these a second.
func (l raftLog) Debugf(f string, v ...any) {
	if l.log.IsTrace() {
		l.Debug(fmt.Sprintf(f, v...))
	}
}

func (l raftLog) Infof(f string, v ...any) {
	if l.log.IsDebug() {
		l.Info(fmt.Sprintf(f, v...))
	}
}

func (l raftLog) Panic(v ...any) {
	text := fmt.Sprint(v...)
	l.log.Error("raft panics", "text", text)
	panic(text)
}

func (l raftLog) Panicf(f string, v ...any) { l.Panic(fmt.Sprintf(f, v...)) }
