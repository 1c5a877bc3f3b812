// Package loop is one membership's event loop: the only goroutine that touches
// the core.
//
// Inputs come through a bounded inbox. A turn takes all that has come in, steps
// the core with each, publishes the view that follows, and carries the effects
// out. The log's writer has a goroutine of its own, so that a slow disk holds up
// only what waits for it.
//
// It decides in which order effects leave, and nothing that package ring or
// election could decide. Run may be called once. Every other method may be called
// from any goroutine, and none but Request, Standing and Progress blocks.
package loop
