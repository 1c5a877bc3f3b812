package limits

import "testing"

// Each row is what must not shrink from left to right, and why.
func TestOrder(t *testing.T) {
	for why, row := range map[string][]int{
		"a part, its tags and its frame are one message":               {Part + 16, Wire},
		"a message that is awaited fits into what a stream may hold":   {Wire, StreamWindow, ConnWindow},
		"an envelope is shorter than what all peers may have in parts": {Wire, Envelope, Parts / 2},
		"a queue holds more than a full window":                        {ConnWindow, PeerQueue},
		"a name is an address's host":                                  {Name, Address, Text},
		"a hello with the longest names leaves room for an address":    {4*Name + Address, Datagram},
		"the headers of a call are shorter than the call":              {Headers, Wire},
		"all addresses of a member may be tried at once":               {Addresses, PeerTries, CrowdedTries},
		"a peer that tries all its addresses at once is let in":        {Addresses, PeerStreamsEach, PeerStreams},
		"each member may have a stream to us":                          {UnlistedPeers, PeerStreams, Members},
		"one host leaves room for other strangers":                     {HostSubscribers, StrangerSubscribers - 1, Subscribers},
		"a stranger's connection leaves room for other strangers":      {ConnStreams, StrangerStreams - 1},
		"what strangers make gRPC keep is bounded by what peers may":   {StrangerStreams * StreamMemory, 2 * Parts},
		"one source leaves room for answers to others of its host":     {SourceAnswers, HostAnswers - 1},
		"one host leaves room for answers to others":                   {2 * HostAnswers, AllAnswers, Sources},
		"one host does not fill the table of sources in two seconds":   {2 * HostAnswers, Sources / 2},
		"a node may be started several times while it is remembered":   {2 * Nodes, Processes},
		"one machine leaves room for connections of others":            {HostPerSecond, StrangersPerSecond - 1, Hosts},
		"a connection may begin all its calls at once":                 {ConnStreams, HostPerSecond},
		"a founder hears the names that it founds with":                {Founders, Heard, Nodes},
		"a monitor may tell all whom it may have as successors":        {Successors, Tell},
	} {
		for i := range row[1:] {
			if row[i] > row[i+1] {
				t.Errorf("%s: %d is more than %d (%v)", why, row[i], row[i+1], row)
			}
		}
	}
}
