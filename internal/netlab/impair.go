package netlab

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A frame with the header that says what the kernel left for hardware to
	// do (checksum, segmentation); both ends of an impairment speak it.
	offloadHeader = 10
	largestFrame  = offloadHeader + 18 + 64<<10
	// Frames that one direction may hold back; more are lost, as in a switch.
	largestQueue = 4096
)

// Impairment makes a cable worse than it is, in each direction alike. The zero
// value is a good cable.
type Impairment struct {
	// Every frame is late by Delay plus a random share of Jitter. Jitter
	// reorders frames.
	Delay, Jitter time.Duration
	// Loss and Duplicate are probabilities, 0 to 1.
	Loss, Duplicate float64
}

// Impair makes all cables of the host that bad, replacing what was before. The
// frames then pass through this process, which costs about 0.1 ms each way on
// a quiet machine; hosts without impairment keep the kernel's path. Changing
// an impairment loses the frames on their way.
func (l *Lab) Impair(h *Host, worse Impairment) {
	l.t.Helper()
	h.mustBeOn()
	for k := range h.cables {
		l.ImpairAt(h, k, worse)
	}
}

// ImpairAt is Impair for the host's cable to network k alone.
func (l *Lab) ImpairAt(h *Host, k int, worse Impairment) {
	l.t.Helper()
	h.mustBeOn()
	if worse.Delay < 0 || worse.Jitter < 0 || worse.Loss < 0 || worse.Loss > 1 || worse.Duplicate < 0 || worse.Duplicate > 1 {
		l.t.Fatalf("netlab: impair %s: %+v: delays are not negative, probabilities 0 to 1", h, worse)
	}
	if c := h.cables[k]; c.impaired != nil || worse != (Impairment{}) {
		if err := l.impairCable(c, worse); err != nil {
			l.t.Fatalf("netlab: impair %s: %v", h, err)
		}
	}
	if err := l.applyCuts(); err != nil {
		l.t.Fatalf("netlab: impair %s: %v", h, err)
	}
}

func (l *Lab) impairCable(c *cable, worse Impairment) error {
	c.endImpairment()
	bridge := l.bridges[c.network]
	if worse == (Impairment{}) {
		c.bridgePort = c.link
		return l.links.LinkSetMaster(c.link, bridge)
	}
	if err := l.links.LinkSetNoMaster(c.link); err != nil {
		return fmt.Errorf("take %s from the switch: %w", c.port, err)
	}
	var host, bridgeEnd *os.File
	name := fmt.Sprintf("w%d-%d", c.host.number, c.network)
	err := l.thread.do(func() (err error) {
		if host, err = openPort(c.link.Attrs().Index); err != nil {
			return fmt.Errorf("open %s: %w", c.port, err)
		}
		if bridgeEnd, err = openTap(name); err != nil {
			_ = host.Close()
			return fmt.Errorf("open the tap %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	i := &impairment{}
	c.impaired = i
	i.ends = []*os.File{host, bridgeEnd}
	tap, err := l.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find the tap %s: %w", name, err)
	}
	if err := l.links.LinkSetMaster(tap, bridge); err != nil {
		return fmt.Errorf("plug the tap %s into the switch: %w", name, err)
	}
	if err := l.links.LinkSetUp(tap); err != nil {
		return fmt.Errorf("set the tap %s up: %w", name, err)
	}
	c.bridgePort = tap
	i.pass(host, bridgeEnd, worse, rand.New(rand.NewPCG(l.options.Seed, uint64(c.host.number)<<8|uint64(c.network)<<1)))
	i.pass(bridgeEnd, host, worse, rand.New(rand.NewPCG(l.options.Seed, uint64(c.host.number)<<8|uint64(c.network)<<1|1)))
	return nil
}

// endImpairment stops the cable's impairment, if it has one, and waits for it.
// The cable is then in no switch.
func (c *cable) endImpairment() {
	if c.impaired == nil {
		return
	}
	c.impaired.end()
	c.impaired = nil
}

// openPort takes all frames that arrive at an interface, whomever they are
// for, and can send any.
func openPort(index int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "port"), nil
}

// openTap makes a network interface whose cable is the returned file.
func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// impairment carries frames between two files, late or not at all.
type impairment struct {
	ends    []*os.File
	running sync.WaitGroup
	queues  []*lateQueue
}

// pass starts carrying frames one way.
func (i *impairment) pass(from, to *os.File, worse Impairment, chance *rand.Rand) {
	q := &lateQueue{wake: make(chan struct{}, 1), done: make(chan struct{})}
	i.queues = append(i.queues, q)
	i.running.Go(func() {
		buffer := make([]byte, largestFrame)
		for {
			n, err := from.Read(buffer)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil { // the link is down for now
				select {
				case <-q.done:
					return
				case <-time.After(10 * time.Millisecond):
				}
				continue
			}
			if chance.Float64() < worse.Loss {
				continue
			}
			copies := 1
			if chance.Float64() < worse.Duplicate {
				copies = 2
			}
			for range copies {
				due := time.Now().Add(worse.Delay)
				if worse.Jitter > 0 {
					due = due.Add(time.Duration(chance.Int64N(int64(worse.Jitter))))
				}
				q.push(lateFrame{due: due, bytes: append([]byte(nil), buffer[:n]...)})
			}
		}
	})
	i.running.Go(func() {
		for {
			frame, ok := q.pop()
			if !ok {
				return
			}
			// An error is a link that is down: the frame is lost.
			_, _ = to.Write(frame.bytes)
		}
	})
}

func (i *impairment) end() {
	for _, q := range i.queues {
		close(q.done)
	}
	for _, f := range i.ends {
		_ = f.Close()
	}
	i.running.Wait()
}

// lateFrame waits for its time.
type lateFrame struct {
	due   time.Time
	order uint64
	bytes []byte
}

// lateQueue gives frames back when they are due, the earliest first. One
// goroutine pushes, one pops.
type lateQueue struct {
	mu     sync.Mutex
	frames frameHeap
	count  uint64
	wake   chan struct{}
	done   chan struct{}
}

func (q *lateQueue) push(f lateFrame) {
	q.mu.Lock()
	if len(q.frames) < largestQueue {
		q.count++
		f.order = q.count
		heap.Push(&q.frames, f)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop waits for the next frame that is due; false means that the queue ended.
func (q *lateQueue) pop() (lateFrame, bool) {
	for {
		wait := time.Hour
		q.mu.Lock()
		if len(q.frames) > 0 {
			if wait = time.Until(q.frames[0].due); wait <= 0 {
				f := heap.Pop(&q.frames).(lateFrame)
				q.mu.Unlock()
				return f, true
			}
		}
		q.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-q.done:
			timer.Stop()
			return lateFrame{}, false
		case <-q.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

type frameHeap []lateFrame

func (h frameHeap) Len() int { return len(h) }
func (h frameHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].order < h[j].order
	}
	return h[i].due.Before(h[j].due)
}
func (h frameHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *frameHeap) Push(x any)   { *h = append(*h, x.(lateFrame)) }
func (h *frameHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = lateFrame{}
	*h = old[:len(old)-1]
	return last
}
