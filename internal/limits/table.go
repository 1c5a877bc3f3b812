package limits

// Names, addresses and sentences. Grammar and errors are in package foreign.
const (
	// Name is the longest name of a node or a cluster, in bytes; datagrams have no room
	// for longer ones.
	Name = 128
	// Address is the longest HOST:PORT, in bytes.
	Address = 255
	// Addresses is how many addresses one member may have. All are tried at once.
	Addresses = 16
	// Text is the longest sentence, such as an exit status, in bytes.
	Text = 1024
	// SocketPath is what fits into a sockaddr_un, less the final zero byte.
	SocketPath = 107
	// Classes is how many classes a node may announce.
	Classes = 16
	// Founders is the largest number of nodes that found a ring together.
	Founders = 256
	// Chain is how many certificates an end of a connection may show, or the signature of
	// a message may have.
	Chain = 4
	// Refusals is how many hosts whose connections are refused are told apart.
	Refusals = 256
	// Secrets is how many secrets a cluster may have at a time.
	Secrets = 8
)

// Sizes of messages, in bytes.
const (
	// Datagram is the longest datagram, magic included: it fits the smallest IPv6 MTU,
	// so it is never fragmented.
	Datagram = 1200
	// QueueMessage bounds a message from a coordinator to its monitor.
	QueueMessage = 64 << 10
	// Wire bounds one gRPC message to a coordinator, from any sender. gRPC takes a
	// message into memory before anybody can look at it, and has one bound for all
	// methods. So a longer envelope, such as a snapshot's, travels in parts.
	Wire = 64 << 10
	// Part is how much of an envelope is in one part.
	Part = Wire - 64
	// Envelope bounds an encoded PeerEnvelope, both ways.
	Envelope = 8 << 20
	// Handshake bounds what is read of a connection until it is known whose it is. A
	// stranger's certificates are decoded before they are refused.
	Handshake = 16 << 10
	// Headers bounds the metadata of a call.
	Headers = 16 << 10
	// ConfigFile bounds a configuration file.
	ConfigFile = 1 << 20
	// SecretFile bounds a secret file, and each file of a certificate or a key.
	SecretFile = 64 << 10
)

// Memory that others can make a coordinator keep, in bytes.
const (
	// Window is the flow control window of the streams and connections that are dialled.
	Window = 64 << 10
	// StreamWindow is what gRPC takes of a stream to us that nobody reads; for a message
	// that is awaited it takes up to Wire more. ConnWindow is the same of a connection.
	StreamWindow = 128 << 10
	ConnWindow   = 256 << 10
	// StreamMemory is what one stream can make gRPC keep.
	StreamMemory = StreamWindow + Wire
	// Parts bounds the unfinished envelopes of all peers together. A slice that grows
	// takes up to twice that.
	Parts = 32 << 20
	// PeerQueue bounds what waits for one peer.
	PeerQueue = 4 << 20
	// ownMemory is what a coordinator of a large ring needs for itself.
	ownMemory = 128 << 20
	// Memory is up to where the heap of a coordinator or a monitor may grow freely; beyond
	// it the runtime collects as often as it must. It is what the coordinator, which needs
	// more, takes for itself, what strangers can make it keep, the unfinished messages of
	// members, and what waits for the voters of a large ring.
	Memory = ownMemory + StrangerStreams*StreamMemory + 2*Parts + 16*PeerQueue
)

// Connections and streams to a coordinator.
const (
	// FilesReserved are the descriptors that the process itself needs: files,
	// listeners, its own probes.
	FilesReserved = 64
	// Strangers, Locals and Members bound the connections of strangers, of this
	// machine's programs and of members.
	Strangers = 256
	Locals    = 256
	Members   = 4096
	// StrangerStreams bounds the calls that strangers have under way, and with them the
	// memory that unfinished messages take.
	StrangerStreams = 256
	// HostPerSecond bounds the connections of one machine over the network that begin in
	// a second, and its calls before it has shown that it is a member's.
	// StrangersPerSecond is the same for all machines together that are no member's and
	// said no hello with the secret, and Hosts is how many of these are told apart.
	HostPerSecond      = 50
	StrangersPerSecond = 200
	Hosts              = 1024
	// PiecesPerCall bounds how often strangers are read from: so many times for each call
	// that may begin. Piece is how much is read each time, in bytes.
	PiecesPerCall = 4
	Piece         = 1 << 10
	// ConnStreams bounds what one connection over the network may have under way.
	// Nobody there needs more: a peer and a monitor have one stream each. LocalStreams
	// is the same for the unix socket.
	ConnStreams  = 16
	LocalStreams = 256
	// PeerStreams bounds the streams of all peers to us, and PeerStreamsEach those of
	// one: while it races addresses, and while dead ones of before linger.
	PeerStreams     = 1024
	PeerStreamsEach = 16
	// UnlistedPeers bounds the peers that have a stream to us and are no members as far
	// as this node knows.
	UnlistedPeers = 64
	// Subscribers bounds the readers of events of this machine's programs and of
	// members, StrangerSubscribers the others, and HostSubscribers those of one address.
	Subscribers         = 256
	StrangerSubscribers = 128
	HostSubscribers     = 64
)

// Connections from here.
const (
	// Paths bounds the paths to one peer: its first addresses.
	Paths = 4
	// SmallMessage is the size up to which a message to a peer goes over all paths.
	SmallMessage = 1 << 10
	// PeerTries bounds the tries under way for a stream to one peer.
	PeerTries = 24
	// CrowdedTries is how many tries for streams to all peers together are so many that
	// none is repeated before it has failed: most likely it is not answered because too
	// many are made.
	CrowdedTries = 32
	// Probes bounds the members that are looked for at the same time, Questions those
	// that are asked.
	Probes    = 64
	Questions = 8
	// UnansweredProbes bounds a monitor's probes under way on one stream. More would
	// tell nothing, and one day fill the flow control window, so that a send waits.
	UnansweredProbes = 64
)

// Links from a coordinator to its monitor.
const (
	// Successors is how many successors of a link travel, the nearest; a monitor looks
	// at no more at a time. Tell bounds how many members it hands certificates to.
	Successors = 32
	Tell       = 32
)

// Discovery, where anybody on the network may send.
const (
	// Heard bounds the names in a hello that its sender has heard, Nodes and Rings what
	// this node remembers of all that it heard.
	Heard = 256
	Nodes = 512
	Rings = 64
	// DatagramsAtOnce is how many datagrams are read at a socket in each
	// durations.DatagramsPause.
	DatagramsAtOnce = 20
	// SourceAnswers, HostAnswers and AllAnswers bound the answers per second to one
	// source, to all sources at one address, and to all: a hello costs its sender nothing,
	// and its source address may be forged. Sources bounds the sources that are told
	// apart.
	SourceAnswers = 20
	HostAnswers   = 200
	AllAnswers    = 400
	Sources       = 1024
	// Processes bounds those whose newest hello is remembered, so that no recorded one
	// counts twice: each name may start a few times in ten minutes.
	Processes = 4 * Nodes
	// Unread bounds the senders of hellos that do not count, as far as they are told of.
	Unread = 64
	// OtherRings bounds the rings that are told of: each makes an event, and anybody can
	// make up the ids of rings.
	OtherRings = 64
)
