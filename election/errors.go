package election

import "errors"

var (
	// ErrSuperseded: another process is this member.
	ErrSuperseded = errors.New("another process is this member")
	// ErrNotLeader: only the declared leader carries out requests.
	ErrNotLeader = errors.New("not the leader")
	// ErrLeadershipLost: the request may or may not take effect.
	ErrLeadershipLost = errors.New("leadership lost before the change was committed")
	// ErrBusy: something is under way, such as a handover, that has to end first.
	ErrBusy = errors.New("the leader is busy, try again")
	// ErrIsLeader: the leader must hand over first.
	ErrIsLeader = errors.New("the leader must hand over first")
	// ErrRests: all members are about to end, so none leaves; each keeps its disk.
	ErrRests = errors.New("all members end, and the ring rests on their disks")
	// ErrNoHeir: there is nobody to hand over to.
	ErrNoHeir = errors.New("no member can take over")
	// ErrNoAnswer: the chosen member did not take the leadership in time.
	ErrNoAnswer = errors.New("the member did not take the leadership over in time")
	// ErrUnable: the chosen member answers, but could not lead now.
	ErrUnable = errors.New("the member could not lead now")
	// errDiskBack: the disk that a handover was begun for has finished its write.
	errDiskBack = errors.New("the leader's disk has finished its write")
	// ErrRemoved: this node is no member any more.
	ErrRemoved = errors.New("removed from the ring")
)
