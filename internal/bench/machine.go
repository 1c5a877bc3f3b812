package bench

// ThisMachine says what this machine is, for results of other benchmarks.
func ThisMachine() Machine { return machine() }
