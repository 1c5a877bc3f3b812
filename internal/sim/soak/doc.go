// Command soak runs the simulator over many seeds and stops at the first that
// fails, or runs one seed and tells its story.
//
//	go run ./internal/sim/soak --seeds 10000 --jobs 2
//	go run ./internal/sim/soak --seed 17 --trace --shrink
//	go run ./internal/sim/soak --seed 17 --save FILE
//	go run ./internal/sim/soak --run FILE --trace
//	go run ./internal/sim/soak --seeds 500 --hashes FILE
//
// --hashes is for changes that must not change what the core does: the file is the
// same before and after.
//
// It exits with 0 when no check failed, with 1 when one did, with 2 for flags that
// cannot be. Each failure comes with the command that replays it. Package sim says
// what the checks are, and what they do not show. If no seed failed, the next one
// still may.
package main
