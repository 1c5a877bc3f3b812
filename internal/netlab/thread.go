package netlab

import "runtime"

// thread is a goroutine that keeps an OS thread to itself, within other
// namespaces than the rest of the process. What it forks is born there.
type thread struct {
	work chan func()
	done chan struct{}
}

// newThread starts one and lets it enter its namespaces.
func newThread(enter func() error) (*thread, error) {
	th := &thread{work: make(chan func()), done: make(chan struct{})}
	entered := make(chan error)
	go func() {
		// Never unlocked: the thread cannot serve others any more, and the
		// runtime ends it with this goroutine.
		runtime.LockOSThread()
		defer close(th.done)
		err := enter()
		entered <- err
		if err != nil {
			return
		}
		for f := range th.work {
			f()
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return th, nil
}

// do runs f on the thread and waits for it.
func (th *thread) do(f func() error) error {
	result := make(chan error, 1)
	th.work <- func() { result <- f() }
	return <-result
}

// end ends the thread and waits for that.
func (th *thread) end() {
	close(th.work)
	<-th.done
}
