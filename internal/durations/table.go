package durations

import "time"

// Connections.
const (
	// TCPKeepAlive is how long a connection is quiet before the kernel looks whether
	// the other host is still there. It looks three times, a third of this apart.
	TCPKeepAlive = 15 * time.Second
	// Connect bounds one connect where nothing shorter does.
	Connect = 3 * time.Second
)

// Healing is the pause of a connection that dials itself again: that of a client,
// of a monitor to its coordinator, and of those kept for certificates.
var Healing = Backoff{First: 10 * time.Millisecond, Longest: time.Second}

// Streams between peers.
const (
	// PeerStagger passes before the next address of a peer is tried: the usual one
	// answers sooner.
	PeerStagger = 50 * time.Millisecond
	// PeerOverlap passes before all addresses are tried again although tries are
	// unanswered, for the first ten times; later it is PeerLateOverlap. A lost SYN
	// is repeated by the kernel only after a second.
	PeerOverlap     = 100 * time.Millisecond
	PeerLateOverlap = 250 * time.Millisecond
	// PeerConnect bounds a connect to a peer: the kernel repeats the SYN once in it.
	PeerConnect = 1200 * time.Millisecond
	// PeerAttempt bounds a try at one address, from the connect to the peer's hello.
	PeerAttempt = 3 * time.Second
	// PeerAnswer is how long a peer has to answer the hello before others of its
	// addresses are tried again.
	PeerAnswer = PeerAttempt / 2
	// PeerSlow is the pause between tries at a peer that is thought dead. It opens a
	// stream to us if it lives.
	PeerSlow = time.Second
	// PeerNear passes before a peer is dialled that is distant no longer, unless
	// there is something to send. Most likely somebody has just died and a new voter
	// is needed, so everybody would dial it in the midst of the failover.
	PeerNear = 100 * time.Millisecond
	// PeerSpare bounds the pause before a path is dialled to a peer that another path
	// reaches. All members have a network back at the same moment. Shaking hands with
	// all of them at once would take the processor from the leader's probes.
	PeerSpare = 500 * time.Millisecond
	// PeerLived is how long a stream has to stand before its loss does not count as
	// one more failure in a row.
	PeerLived = time.Second
	// PeerStall is how long data may be unacknowledged, and four round trips, before
	// a fresh connection races the old one. The kernel waits 200 ms and doubles.
	// Acknowledgements are delayed by 40 ms at most.
	PeerStall = 60 * time.Millisecond
	// PeerHintedStall is the same after a sign of life of the peer.
	PeerHintedStall = 10 * time.Millisecond
	// PeerStallEvery is the shortest time between two such races without a sign of
	// life. Hosts that stop now and then would spend their time on connections.
	PeerStallEvery = 500 * time.Millisecond
	// PeerAck is how long data may be unacknowledged before the kernel gives the
	// connection up.
	PeerAck = time.Second
	// PathCheck is the time between two checks of the paths to a peer that has several,
	// PathDoubted the same while one of them is in doubt.
	PathCheck   = 2 * time.Second
	PathDoubted = 250 * time.Millisecond
	// PathWritten is how long a check may take until it has left this process.
	PathWritten = 20 * time.Millisecond
	// PathClean is for how long no check of a path may be missed before it counts as up
	// again.
	PathClean = 5 * time.Second
	// PeerRecent is how old a message may be that is sent again because it may not
	// have been acknowledged.
	PeerRecent = 2 * PeerAck
	// HelloWait is how long a stream to us may take to say hello.
	HelloWait = 2 * time.Second
	// HelloHold is how long a hello is held while this node does not know its own id:
	// a joiner's peers may hear of its join before itself.
	HelloHold = time.Second
	// PeerFlush is how long what was queued for a peer that is removed may take to
	// leave, and at the stop what was queued for all.
	PeerFlush = 200 * time.Millisecond
	// UnlistedKeep is how long a peer that is no member is kept after its last stream
	// to us ended. UnlistedCheck is how often that is looked at.
	UnlistedKeep  = 5 * time.Second
	UnlistedCheck = time.Second
)

// PeerBackoff is the pause after all addresses of a peer have failed.
var PeerBackoff = Backoff{First: 5 * time.Millisecond, Longest: 500 * time.Millisecond}

// The monitor.
const (
	// ProbeConnectLeast is the least that a probe's connect may take. Otherwise it is
	// what the silence of the neighbour may.
	ProbeConnectLeast = 50 * time.Millisecond
	// ProbeRedialLeast and ProbeRedialLongest bound the pause after a probe's connect
	// that failed. It grows from the interval of the probes.
	ProbeRedialLeast   = 10 * time.Millisecond
	ProbeRedialLongest = time.Second
	// ProbeQuick is the first of the pauses that precede the back-off, doubling: 2, 4,
	// 8 and 16 ms. A process that is ending may close its connections
	// before its listener, and the kernel takes connections for it until then.
	ProbeQuick = 2 * time.Millisecond
	// ProbeRaceLeast and ProbeRaceLongest bound the time between two fresh connects
	// beside a stream that is up and silent. It is what the silence of the neighbour
	// may take. After a cut has healed the old stream may sit in TCP's back-off
	// longer than a new connection takes.
	ProbeRaceLeast   = 200 * time.Millisecond
	ProbeRaceLongest = 2 * time.Second
	// ProbeReset is the least time that a stream that broke has to be had again: with
	// probes every few milliseconds one interval is less than a handshake takes.
	ProbeReset = 20 * time.Millisecond

	// CertificateWarm is how long a connection that was kept for a certificate has to
	// answer before a fresh one is tried: it may lead to a host that is gone, or lie
	// in a back-off. CertificateFresh is how long a fresh one has.
	CertificateWarm  = 300 * time.Millisecond
	CertificateFresh = time.Second
	// Certify is for how long a certificate is handed around.
	Certify = 5 * time.Second
	// CertificateSettle, to twice of it, passes before a connection for certificates
	// is made: the ring has just changed, and has more urgent things to do. A
	// certificate would dial by itself.
	CertificateSettle = 50 * time.Millisecond
	// CertificateReconnect, to twice of it, passes before one that broke is made
	// again: otherwise all monitors would dial a leader in the moment of its death.
	CertificateReconnect = time.Second

	// DoorbellWait is how long a doorbell waits for the link that it announces. It
	// may overtake it, on a busy machine by more than a moment.
	DoorbellWait = 100 * time.Millisecond
	// DoorbellBelongs is how long after a link its doorbell may come. A later one is
	// an operator's. An earlier one counts as the link's, also if that had none of
	// its own, since pending signals merge.
	DoorbellBelongs = 300 * time.Millisecond
	// QueueEnd is how long after the end of the queue the coordinator may live before
	// its monitor ends.
	QueueEnd = 2 * time.Second
	// LastLink is how long the end of the queue may take once the coordinator has
	// ended: another process may hold the queue's other side.
	LastLink = 50 * time.Millisecond
	// Beat is how often a monitor asks its coordinator for a beat while no link says
	// otherwise.
	Beat = time.Second
)

// CertificateRetry is the pause between two tries to hand a certificate over.
var CertificateRetry = Backoff{First: 2 * time.Millisecond, Longest: 250 * time.Millisecond}

// The coordinator and its monitor.
const (
	// MonitorLived is how long a monitor has to live until its end does not count as
	// one more in a row.
	MonitorLived = 10 * time.Second
	// MonitorStart is how long a new monitor may take to register.
	MonitorStart = 5 * time.Second
	// MonitorStop is how long a monitor may take to end when its queue did.
	MonitorStop = 2 * time.Second
	// DetourLeast is the least that `arc relink --target` lasts unless it says
	// otherwise: long enough to be seen.
	DetourLeast = 5 * time.Second
)

// MonitorRestart is the pause before a monitor that died is started again.
var MonitorRestart = Backoff{First: 20 * time.Millisecond, Longest: 5 * time.Second}

// Entering a ring.
const (
	// JoinCall bounds one request to be admitted: a leader answers when the join is
	// committed.
	JoinCall = 10 * time.Second
	// JoinLate is how long a joiner waits for an answer before it says whom it asks.
	JoinLate = time.Second
	// ComplaintNew is the least time between two lines of a joiner when the newer one
	// has another reason.
	ComplaintNew = 10 * time.Second
	// RingThere is how long a founder waits for the addresses given by --join.
	RingThere = 2 * time.Second
	// LastRingSearch is how long a node looks for its former ring before it says on
	// whose disks that was.
	LastRingSearch = 3 * time.Second
	// HeldElsewhere bounds the questions of a start. After a power cut of all machines
	// nobody answers, and the ring must form again all the same.
	HeldElsewhere = 250 * time.Millisecond
	// Unheard is how long the others have to be heard, from a member's start, before
	// it warns that none is.
	Unheard = 3 * time.Second
	// OpenAfterStop is how long the opening of directories may go on when the process
	// has to stop.
	OpenAfterStop = time.Second
)

var (
	// JoinAgain is the pause of a joiner that was admitted nowhere.
	JoinAgain = Backoff{First: 50 * time.Millisecond, Longest: 500 * time.Millisecond}
	// Complaint is the pause between two lines of a joiner that gets nowhere.
	Complaint = Backoff{First: 2 * time.Second, Longest: 5 * time.Minute}
)

// The core. Most of its durations are computed from the ring's settings.
const (
	// Deferral is how long effects that nobody waits for are deferred at most. They are
	// due at once when an effect comes that somebody waits for.
	Deferral = 8 * time.Millisecond
	// ReconfigureDelay is how long a new leader leaves raft's configuration as it is, if
	// that can bear another death meanwhile: first all shall know who leads.
	ReconfigureDelay = 10 * time.Millisecond
	// FiguresLogged is how long after the first claim its figures go into the log.
	FiguresLogged = 20 * time.Millisecond
	// HolderAnswer is the least time that the holder of a wanted name has to answer.
	HolderAnswer = time.Second
	// Inquiry is the time between two inquiries of a member that is out of touch, and
	// how long it waits before the first. InquiryAgain is the least time between two
	// inquiries about one notice.
	Inquiry      = 3 * time.Second
	InquiryAgain = 500 * time.Millisecond
	// Unborn is how long the members of a ring that was founded wait for its first
	// leader before they look for another ring.
	Unborn = 20 * time.Second
	// StopGather is how long the newest wish to end waits for others. StopLongest bounds
	// the wait of the first.
	StopGather  = 250 * time.Millisecond
	StopLongest = time.Second
	// ForgetCheck bounds how often a leader looks for former members that have been
	// listed for long enough.
	ForgetCheck = 10 * time.Second
	// LongestAge bounds how long ago a vote may say that something was.
	LongestAge = 10 * 365 * 24 * time.Hour
)

// Leaving it.
const (
	// Stop is how long a coordinator takes to end. A service manager waits longer.
	Stop = 5 * time.Second
	// Leave is what of it may go into leaving the ring, LeaveAgain the pause between
	// two tries.
	Leave      = 3500 * time.Millisecond
	LeaveAgain = 50 * time.Millisecond
	// LeaveAnswer is what of the time of an asker is kept for the answer to a leave in
	// vain.
	LeaveAnswer = 250 * time.Millisecond
	// LeaveQueue is how long a leader that leaves lets others leave first, as long as
	// some are at it. LeaveYield is how long it does so anyway if it was made leader
	// only while it was leaving: some may be about to. Otherwise two that leave at
	// once would hand the leadership to and fro.
	LeaveQueue = 1500 * time.Millisecond
	LeaveYield = 250 * time.Millisecond
	// CallsEnd is how long calls under way may take to end at the stop. LastAnswers is
	// the same for answers to this machine's programs at an end for which the others
	// wait.
	CallsEnd    = 500 * time.Millisecond
	LastAnswers = 20 * time.Millisecond
)

// Services.
const (
	// Call bounds a unary call whose client set no deadline, so that no forgotten call
	// is held forever.
	Call = time.Minute
	// Handshake is how long a connection may take to speak HTTP/2.
	Handshake = 5 * time.Second
	// ServerKeepAlive is how long a connection is quiet before the server looks whether
	// its client is there, ServerKeepAliveAnswer how long the client may take to
	// answer, and ClientKeepAliveLeast how often a client may look for the server.
	ServerKeepAlive       = 30 * time.Second
	ServerKeepAliveAnswer = 10 * time.Second
	ClientKeepAliveLeast  = time.Second
	// ReadAgain is when a stranger that sent too much is looked at again.
	ReadAgain = 20 * time.Millisecond
	// IdleStranger is how long a stranger may keep a connection without a call.
	IdleStranger = time.Minute
	// StatusWait is how long a reader of the status waits for the event loop.
	// LeaderStatusWait is how long it waits for the leader to say what only it knows.
	StatusWait       = 100 * time.Millisecond
	LeaderStatusWait = 250 * time.Millisecond
	// RealtimeWait is how long a change of the settings waits for the members' word
	// whether they run with --realtime.
	RealtimeWait = 500 * time.Millisecond
	// SubscriberGrace is how long the reader of a stream of events that is dropped may
	// take to read what waits for it.
	SubscriberGrace = time.Second
	// HealthPatience is the least time that a member may know no leader before it
	// counts as unable to settle. An election takes less.
	HealthPatience = 3 * time.Second
	// HealthAgain is how often a watched health is worked out although nothing was
	// published: an event loop that hangs publishes nothing.
	HealthAgain = time.Second
)

// What a coordinator sees to by itself.
const (
	// Idle is the time without events in a ring after which no failover can
	// be under way, and by how much a coordinator puts off what nobody waits for. It
	// does these things then: a link that is not urgent, words to discovery, the mark of
	// the log's end, a collection of garbage. A monitor collects its own then too.
	Idle = 100 * time.Millisecond
	// HeapCheck is how often a coordinator or a monitor looks whether garbage is to be
	// collected.
	HeapCheck = time.Second
	// FilesCheck is how often a coordinator looks whether its files are still there.
	// That is five calls of the kernel. A watch by inotify would end with the
	// directory that it is on.
	FilesCheck = time.Second
	// AddressGone is for how long an address has to be gone before the others are told,
	// as long as no new one has come: an interface that goes down and up again is no
	// news. AddressesAgain is when interfaces that could not be read are read again.
	AddressGone    = 10 * time.Second
	AddressesAgain = time.Second
	// RedialPause is the shortest time between two rounds of redials that a change of
	// addresses, links or routes sets off. Hosts that start containers change all the
	// time.
	RedialPause = time.Second
	// ApartHello is how often a member that misses a stream to another says hello, so
	// that those who moved find each other. A member that has just died is evicted
	// sooner.
	ApartHello = time.Second
	// OtherRing is how long another ring of this cluster is told of after it was heard.
	OtherRing = 30 * time.Second
	// Repeats is how often at most a line is written at Warn that would repeat itself:
	// nonsense of one sender, connections closed to make room, messages of a peer that
	// were dropped.
	Repeats = 10 * time.Second
)

// Trust.
const (
	// TrustLook is how often secrets and certificates are read again.
	TrustLook = 5 * time.Second
	// TrustCut is between the ends of two connections whose secret was dropped, and
	// TrustCutAll bounds the time for all of them: somebody with the old secret may have
	// opened thousands.
	TrustCut    = 200 * time.Millisecond
	TrustCutAll = 30 * time.Second
	// TrustEnds is how long before its end an operator's own certificate is told of.
	TrustEnds = 14 * 24 * time.Hour
	// LastWord is how long a client looks for the reason of a connection that broke while
	// it wrote.
	LastWord = 50 * time.Millisecond
	// ClientLongest is how long a client's certificate may last: a century.
	ClientLongest = 36500 * 24 * time.Hour
)

// Discovery.
const (
	// SeekInterval is between the hellos of a search after its first ones,
	// MemberInterval between those of a member, which ask for no answer.
	SeekInterval   = time.Second
	MemberInterval = 10 * time.Second
	// SeekLeast is the least time between two hellos of a search when something that
	// was heard makes the next one urgent.
	SeekLeast = 20 * time.Millisecond
	// LeaderWait is how long a search that reached only members who know no leader
	// waits for one who does.
	LeaderWait = time.Second
	// AdviceAfter and AdviceInterval are when a search tells the operator what to do.
	AdviceAfter    = 3 * time.Second
	AdviceInterval = 30 * time.Second
	// HelloAnswer is how long an answer to a hello counts.
	HelloAnswer = 5 * time.Second
	// ClockSlack is by how much the clocks of two nodes may differ for a sealed hello to
	// count. It is what TLS and Kerberos allow too, and more than any clock that is kept
	// drifts. A recorded hello is good for nothing when it is older.
	ClockSlack = 5 * time.Minute
	// HelloLate is how late a datagram may be on an ordinary network: a sealed hello
	// counts that left so long before its reader began.
	HelloLate = time.Second
	// UnreadAgain is the least time between two lines about one sender whose hellos do not
	// count.
	UnreadAgain = time.Minute
	// FounderWord is how long this node's word to a founder holds after it was given,
	// or after the founder was last heard to be at it. FounderDecides is how long a
	// founder may collect words, from before the first is given: every word that it
	// counts still holds when it decides.
	FounderWord    = 10 * time.Second
	FounderDecides = 5 * time.Second
	// FounderAsk bounds one question of a founder to one node, FounderStagger is
	// between the first tries of its addresses.
	FounderAsk     = 2 * time.Second
	FounderStagger = 100 * time.Millisecond
	// NamePresent is how long a name counts as present after it was heard. A search
	// says hello about ten times in it.
	NamePresent = 10 * time.Second
	// NameNew is how long a name that asks is answered by those who want to found with
	// it. After that it has heard their own hellos.
	NameNew = 2 * time.Second
	// NameRival is how far apart hellos of two incarnations of one name must be to
	// prove both alive: longer than a datagram may be late.
	NameRival = time.Second
	// RingPresent is how long a ring counts as present after one of its members was
	// heard. RingReport is the least time between two reports of it.
	RingPresent = 15 * time.Second
	RingReport  = 10 * time.Second
	// LeaderAgain is when a new leader repeats that it leads, in case the first hello
	// is lost.
	LeaderAgain = 100 * time.Millisecond
	// InterfacesFresh is how old the list of interfaces may be when a hello leaves.
	InterfacesFresh = 2 * time.Second
	// InterfaceUsable is how long an interface that came up may take until it can send:
	// IPv6 first looks whether the address is a duplicate, which takes about two
	// seconds.
	InterfaceUsable = 5 * time.Second
	// DatagramsPause is the least time in which limits.DatagramsAtOnce are read: ten
	// thousand a second, which is many times what a large cluster says.
	DatagramsPause = 2 * time.Millisecond
	// ReadPause is how long a reader of datagrams waits after a read that failed.
	ReadPause = 10 * time.Millisecond
)

var (
	// FounderRefused is a founder's pause after a refusal, FounderUnanswered the one
	// after a question that got no answer.
	FounderRefused    = Backoff{First: 200 * time.Millisecond, Longest: 2 * time.Second}
	FounderUnanswered = Backoff{First: 50 * time.Millisecond, Longest: time.Second}
)

// FirstHellos is when the first hellos of a search leave, from its start.
var FirstHellos = [...]time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}

// This machine, and its log.
const (
	// AddressesFresh is for how long the machine's addresses are believed while the
	// kernel does not tell of changes. AddressesPoll is how often they are read then.
	AddressesFresh = time.Second
	AddressesPoll  = time.Second
	// NoticesMerge is the shortest time between two notices that addresses, links or
	// routes changed: hosts that start containers get many at once.
	NoticesMerge = 100 * time.Millisecond
	// LogFlush is how long the end of a process waits for a reader of its log that
	// reads nothing.
	LogFlush = time.Second
	// LogLineEvery is how often a line of one kind is written after the first few.
	// LogLeftOut is how long after the first line that was left out their number is
	// told.
	LogLineEvery = time.Second
	LogLeftOut   = 10 * time.Second
)

// The command line and clients.
const (
	// AwaitLeader bounds how long a client that awaits a leader may miss a change that
	// no event tells, such as a lease that was renewed in time after all.
	AwaitLeader = 200 * time.Millisecond
	// Unreachable is how often an unreachable coordinator is tried.
	Unreachable = 100 * time.Millisecond
	// SameSignal is for how long after the first signal further ones are that same one.
	// A terminal, timeout(1) and service managers signal a process and its group, so
	// one wish to end arrives twice at once.
	SameSignal = time.Second
	// Redraw is how often at most the live picture of `arc dev` is drawn.
	Redraw = 200 * time.Millisecond
	// RingForms bounds how long a ring of `arc dev` may take to form.
	RingForms = 30 * time.Second
)
