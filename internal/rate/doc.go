// Package rate bounds how much is done per second at the wish of those who pay
// nothing for asking: of one source, and of all sources together.
//
// Batches bounds it without a look at the source, and says for how long to pause.
//
// A Limiter decides. It reads no clock and is not safe for concurrent use: its owner
// says what time it is, and holds a lock. It does not wait, and it forgets a source
// that has been quiet for a second, so its memory is bounded.
package rate
