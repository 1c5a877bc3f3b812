package coordinator

import "github.com/arc-ring/arc/coordinator/internal/reason"

// ErrUsage: the options contradict themselves or what is on the disk.
var ErrUsage = reason.ErrUsage
