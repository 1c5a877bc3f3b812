// Package tracker keeps what is known of each member: one record for each, in
// one table that is ordered by id. A walk through a table is the same in every
// replay, which a walk through a map is not.
//
// It decides nothing, and it knows neither raft nor time. What a record holds,
// and when one is dropped, is its owner's business.
package tracker
