// Package monitor is the monitor process: the half of a node that outlives its
// coordinator.
//
// It takes links from the local queue. It probes the successor, and, while that
// one is in doubt, the members after it. It reports suspicions to its own
// coordinator. When the process of that coordinator has ended, it hands a death
// certificate to the members that the link names. If the coordinator hangs and the
// settings say so, it kills it first.
//
// All its decisions are in package detector. It does not know who should lead, and
// evicts nobody. It is an RPC client only and serves nothing.
//
// A certificate reaches nobody if the monitor's machine is cut off at that moment;
// it tries for a few seconds. It cannot tell the exit status, which only the
// parent of a process learns.
//
// A process calls Signals once, before anything slow, then Run once.
package monitor
