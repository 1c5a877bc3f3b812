package bench

import "github.com/arc-ring/arc/internal/bench/report"

// Results are what a run measured; results.json holds them.
type Results struct {
	report.Head
	Failover []Failover `json:"failover"`
	Costs    []Cost     `json:"costs"`
	Cuts     []Cut      `json:"cuts"`
}

// Failover holds the trials of one fault, times in milliseconds.
type Failover struct {
	System string `json:"system"`
	Hosts  int    `json:"hosts"`
	Fault  string `json:"fault"`
	First  Sample `json:"first_ms"`
	All    Sample `json:"all_ms"`
	// Failed says why trials have no time.
	Failed []string `json:"failed,omitempty"`
	// Labs is in how many labs of this system, side by side, it was measured; 1
	// is alone. Costs are always measured alone.
	Labs int `json:"labs"`
}

// Cost is what a system takes while nothing happens.
type Cost struct {
	System  string  `json:"system"`
	Hosts   int     `json:"hosts"`
	Seconds float64 `json:"seconds"`
	// CPUPerMinute is of all daemons together, in seconds.
	CPUPerMinute float64 `json:"cpu_seconds_per_minute"`
	// Sent is in bytes per second, the average over the nodes and the most.
	SentPerNode float64 `json:"bytes_per_second_per_node"`
	SentMost    float64 `json:"bytes_per_second_busiest"`
	// Resident is the memory of a node's processes, the average and the most.
	ResidentPerNode float64 `json:"resident_bytes_per_node"`
	ResidentMost    float64 `json:"resident_bytes_most"`
	// Changes are new leaders in that time: there should be none.
	Changes int `json:"changes"`
}

// Cut holds the trials in which the leader was cut off with a minority.
type Cut struct {
	System string `json:"system"`
	Hosts  int    `json:"hosts"`
	// Both is how long two acted as leaders, of CutFor; milliseconds.
	Both   Sample `json:"two_leaders_ms"`
	CutFor Sample `json:"cut_ms"`
	// New is when the majority knew its leader.
	New    Sample   `json:"new_leader_ms"`
	Failed []string `json:"failed,omitempty"`
	// Labs is as in Failover.
	Labs int `json:"labs"`
}
