// Package wal keeps what a member of the ring must not forget: the raft log, the
// hard state, the newest snapshot, and the bound of its promises. It decides how
// files hold that, what counts as written, and what may still be believed of a
// damaged file.
//
// # Files
//
// A data directory holds the file "lock" and, once a ring was founded or joined,
// one segment, NUMBER.log. A segment is a header (format version, number, salt,
// whose it is) and records, each with a checksum of its own. The first ones, the
// base, hold the whole state at the segment's birth; each later one holds one
// Batch. A Batch with a snapshot or a reset starts the next segment: it is written
// under a temporary name, synced, renamed, the directory synced, and only then the
// old one removed. So one file holds everything, and the newest one is right. A
// segment that has grown to twice its base, and to 4 MiB, is rewritten too,
// without being asked.
//
// Space is reserved and zeroed 256 KiB ahead, so that a sync has neither a
// file size nor an extent to update.
//
// # Records
//
// A record has the salt of its segment (64 random bits), its number within it, and
// the mark: the number of the last record that was known to be synced when this
// one was written. Stale bytes have another salt or number and never count. After
// a crash a record may be damaged, or missing before later ones, if it was never
// synced; it and what follows are cut off with a warning. But if a later record's
// mark covers it, or something follows a record that asked to be synced, then it
// was whole once. Open then refuses the file (ErrCorrupt) and changes nothing.
// Open and Close write an empty record for its mark.
//
// The file "end" remembers outside the log how far it was synced. Open refuses a
// log that was shortened, at whatever byte, that lost its file, or that was put
// back from an older copy without "end" beside it (ErrCorrupt), and changes
// nothing. Mark and Close write "end", some time after a sync, and never sync it.
// It may not cover what a process saved just before it was killed. After a power
// cut it may be some seconds old.
//
// # Not guaranteed
//
// If the very last record rots on the disk after its sync, in a power cut that
// "end" did not survive either, this looks like a torn tail, and it is cut. A
// whole directory that was put back from an old copy is not noticed. Bytes are
// protected against accidents, not against somebody who can write to the
// directory.
//
// # Use
//
// Open, then Init if the directory is fresh, then Save as often as needed, Close
// at the end. Any goroutine may call the methods. They do their work one after the
// other, in the caller's goroutine, and block while the disk does. After a failed
// write or sync the kernel may have dropped what it could not write, and a second
// sync would lie. The Log is then poisoned, and every later call returns that
// first error. The process should end; the next Open finds everything for which
// Save returned nil.
//
// Entries, snapshots and their data are kept by reference until a snapshot
// covers them; nobody may change them after they were handed over.
package wal
