package alarms

import (
	"fmt"
	"time"

	"github.com/arc-ring/arc/internal/bench"
)

// Head says where and when results were measured.
type Head struct {
	Version     int           `json:"version"`
	Began       time.Time     `json:"began"`
	TookSeconds float64       `json:"took_seconds"`
	Machine     bench.Machine `json:"machine"`
	// Nodes of each ring.
	Nodes int `json:"nodes"`
}

func begin(o Options) Head {
	h := Head{Version: 1, Began: time.Now(), Machine: bench.ThisMachine(), Nodes: o.Nodes}
	if load := h.Machine.LoadBefore; load > 0.5 {
		o.Say("the load average is %.1f: the figures will be worth little", load)
	}
	return h
}

func (h *Head) end() { h.TookSeconds = time.Since(h.Began).Seconds() }

func (h *Head) String() string {
	return fmt.Sprintf("%s, %d nodes a ring, %d cores, Linux %s, load average before %.2f, took %v.", h.Began.Format(time.RFC3339), h.Nodes,
		h.Machine.Cores, h.Machine.Kernel, h.Machine.LoadBefore, time.Duration(h.TookSeconds)*time.Second)
}
