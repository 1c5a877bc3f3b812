package sim

// evKind says what an event does when its time has come.
type evKind uint8

const (
	evWake      evKind = iota // the coordinator's timer
	evDeliver                 // a peer message arrives at a machine
	evDisk                    // a write or sync completes
	evStart                   // a coordinator process starts
	evResume                  // the end of a pause
	evJoinTry                 // a joiner asks again
	evRPC                     // a request of a joiner or operator arrives
	evReply                   // its answer arrives
	evUnreach                 // the transport reports a lost stream
	evPing                    // a monitor's ping arrives
	evPong                    // its answer arrives
	evRefused                 // nobody listens (or the stream broke) arrives at a monitor
	evMonTick                 // a monitor's link is due
	evMonLink                 // a link arrives in the monitor's queue
	evMonStart                // a new monitor process
	evMonSees                 // a monitor sees its coordinator's exit
	evCertSend                // a monitor tries to hand in its certificate
	evCertify                 // the certificate arrives
	evReport                  // a monitor's opinion arrives at its coordinator
	evProbe                   // a leader's own probe arrives
	evProbed                  // its answer arrives
	evProbeEnd                // its time is over
	evHang                    // the monitor looks whether its coordinator hangs
	evFault                   // a fault of the plan begins
	evFaultEnd                // and ends
	evHeal                    // all faults end
	evPoll                    // is the ring whole again?
	evQuietEnd                // the end of a quiet time
	evLeave                   // a leaving coordinator tries again
	evOp                      // an operator's try
	evHello                   // a peer stream is opened
	evPinged                  // a watcher's word reaches the core
	evInquire                 // a member asks whether it still is one
	evStanding                // the answer arrives
	evReaddress               // a machine notices that its addresses have changed
	evWish                    // what was asked of a whole ring is due
	evMonRuns                 // a coordinator learns whether its monitor runs
	evLed                     // has a majority that can talk a leader?
	evPaths                   // the paths to peers are checked
	evRescue                  // a message goes over another path
)

var evNames = [...]string{"wake", "deliver", "disk", "start", "resume", "join-try", "rpc", "reply", "unreach", "ping", "pong", "refused", "mon-tick", "mon-link", "mon-start", "mon-sees", "cert-send", "certify", "report", "probe", "probed", "probe-end", "hang", "fault", "fault-end", "heal", "poll", "quiet-end", "leave", "op", "hello", "pinged", "inquire", "standing", "readdress", "wish", "mon-runs", "led", "paths", "rescue"}

// travels reports whether an event comes over the network: a stopped process's
// socket takes only so many.
func (k evKind) travels() bool {
	switch k {
	case evDeliver, evRPC, evReply, evPing, evPong, evRefused, evCertify, evProbe, evProbed, evHello, evInquire, evStanding:
		return true
	}
	return false
}

// event is something that happens at a machine at a point of true time.
type event struct {
	at   int64 // nanoseconds of true time
	seq  uint64
	n    uint64
	p    any
	gen  uint32
	node int16
	peer int16
	kind evKind
}

// queue is a binary heap by time, and by order of insertion at equal times.
type queue struct {
	heap []event
	seq  uint64
}

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	h := q.heap
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !before(&e, &h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

func (q *queue) pop() (event, bool) {
	if len(q.heap) == 0 {
		return event{}, false
	}
	h := q.heap
	top := h[0]
	last := h[len(h)-1]
	h[len(h)-1] = event{}
	h = h[:len(h)-1]
	q.heap = h
	if len(h) > 0 {
		i := 0
		for {
			c := 2*i + 1
			if c >= len(h) {
				break
			}
			if c+1 < len(h) && before(&h[c+1], &h[c]) {
				c++
			}
			if !before(&h[c], &last) {
				break
			}
			h[i] = h[c]
			i = c
		}
		h[i] = last
	}
	return top, true
}

func before(a, b *event) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
