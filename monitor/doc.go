// Package monitor is the monitor process: the half of a node that outlives its
// coordinator.
//
// It takes links from the local queue, probes the successor (and, while that
// one is in doubt, the members after it), reports suspicions to its own
// coordinator, and when its own coordinator's process has ended it hands a
// death certificate to the members that the link names. If the coordinator
// hangs and the settings say so, it kills it first.
//
// It decides nothing but what package detector decides: it does not know who
// should lead, and evicts nobody. It is an RPC client only and serves nothing.
//
// What it does not guarantee: a certificate reaches nobody if the monitor's
// machine is cut off at that moment (it tries for a few seconds), and it
// cannot tell the exit status, which only the parent of a process learns.
//
// A process calls Signals once, before anything slow, then Run once.
package monitor
