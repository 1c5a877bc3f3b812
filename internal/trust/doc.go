// Package trust decides who an ARC process believes: with which keys it shows
// itself, whose connections it accepts, and which datagrams it reads.
//
// A cluster shares secrets of 256 bits, one a line of a file. HKDF (RFC 5869)
// makes of each one an authority that is the same, byte for byte, on every node,
// and a key for the hellos of discovery. Each process mints a certificate of its
// own at start, so no certificate is ever copied. The first secret of the file
// mints, and all of them are accepted. That is how a secret is replaced in a
// running ring: add the new one everywhere, put it first everywhere, drop the
// old one everywhere (Rotate). A line has the time at which its secret was made,
// so that a file shows which of these steps is next. Clients' certificates are made
// with the newest secret: one that is issued between the first step and the second
// is good before, during and after the others.
//
// An operator's own authority can take the place of the derived one. The secret
// then serves the hellos alone.
//
// A certificate names its holder by a SPIFFE ID, spiffe://CLUSTER/ROLE/NAME. A
// member's has no end: each node can mint one at any time, so an end would keep
// nobody out, and would make a ring depend on clocks that are set. A client's
// has one.
//
// Everybody who has the secret can act as any member. It keeps strangers out, and
// it does not keep members apart; an authority of one's own does both.
//
// Cryptography is the standard library's alone. A Holder reads files; it starts no
// goroutine but Watch's caller. All functions and methods may be called from any
// goroutine.
package trust
