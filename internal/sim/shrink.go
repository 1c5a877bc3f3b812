package sim

// Shrink cuts down the faults of a failed run: it looks for few faults with
// which the same check fails, in at most budget runs. Fewer faults mean other
// chance in the network, so each set is tried with a few salts.
func Shrink(r *Result, budget int) *Result {
	best := r
	keep := r.Options.Keep
	if keep == nil {
		keep = make([]int, len(r.Plan))
		for i := range keep {
			keep[i] = i
		}
	}
	opt := r.Options
	opt.Trace = nil
	try := func(keep []int) bool {
		for salt := range uint64(3) {
			if budget <= 0 {
				return false
			}
			budget--
			o := opt
			o.Keep, o.Salt = keep, r.Options.Salt+salt
			if got := Run(o); got.Failure != nil && got.Failure.Check == r.Failure.Check {
				best = got
				return true
			}
		}
		return false
	}
	// Those that begin after the failure go at once.
	early := []int{}
	for _, i := range keep {
		if r.Plan[i].At <= r.Failure.At {
			early = append(early, i)
		}
	}
	if len(early) < len(keep) && try(early) || len(early) == len(keep) {
		keep = early
	}
	// Often one or two are enough; the failure comes soon after the last.
	for i := len(keep) - 1; i >= 0; i-- {
		if try(keep[i : i+1]) {
			return best
		}
	}
	for i := len(keep) - 2; i >= max(0, len(keep)-12); i-- {
		if try([]int{keep[i], keep[len(keep)-1]}) {
			return best
		}
	}
	for chunk := max(len(keep)/2, 1); ; {
		cut := false
		for from := 0; from < len(keep); {
			to := min(from+chunk, len(keep))
			fewer := append(append([]int{}, keep[:from]...), keep[to:]...)
			if try(fewer) {
				keep, cut = fewer, true
			} else {
				from = to
			}
		}
		if budget <= 0 || chunk == 1 && !cut {
			return best
		}
		if chunk > 1 {
			chunk /= 2
		}
	}
}
