package coordinator

import (
	"context"
	"fmt"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
)

// keepHouse minds what others may do to the files of a running coordinator,
// until ctx ends. A cleaner that empties the run directory (systemd-tmpfiles,
// tmpwatch) would leave commands and the next monitor without a way in. A data
// directory that was removed would take everything along that is acknowledged
// from now on.
func (n *node) keepHouse(ctx context.Context) {
	told := ""
	for connect.Wait(ctx, durations.FilesCheck) {
		if err := n.disk.Check(); err != nil {
			n.stopAs(fmt.Errorf("%w: %w", reason.ErrStorage, err))
			return
		}
		repaired, err := n.repairRunDir(ctx)
		switch {
		case err != nil && err.Error() != told:
			told = err.Error()
			n.log.Error("run directory is not usable, commands and monitors cannot reach this coordinator; it is tried again", "path", n.o.RunDir, "error", err)
		case err == nil && (repaired || told != ""):
			told = ""
			n.log.Warn("files of the run directory had been removed and were made again; exempt it from cleaning", "path", n.o.RunDir)
		}
	}
}

// repairRunDir makes again what is missing of the lock, the socket and the
// monitor's pid file.
func (n *node) repairRunDir(ctx context.Context) (repaired bool, err error) {
	if !n.house.TryLock() { // this process ends
		return false, nil
	}
	defer n.house.Unlock()
	if !n.dir.held() {
		repaired = true
		if err := n.dir.take(); err != nil {
			return true, err
		}
	}
	if old := n.listeners.unix; !old.reachable() {
		repaired = true
		lis, err := listenUnix(ctx, old.path)
		if err != nil {
			return true, err
		}
		n.listeners.unix = lis
		n.servers.ServeUnix(lis)
		old.abandon()
	}
	written, err := n.monitor.KeepPidFile()
	return repaired || written, err
}
