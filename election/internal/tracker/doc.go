// Package tracker keeps what is known of each member: one record for each, in
// one table that is ordered by id. A walk through a table is the same in every
// replay, which a walk through a map is not.
//
// It decides nothing, and it knows neither raft nor time. The owner decides what a
// record holds, and when one is dropped.
package tracker
