package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// configuration is raft's: who votes, and who learns. It is replaced, never changed.
type configuration struct{ conf *raftpb.ConfState }

// allVoters returns the ids of both halves of the configuration, ascending.
func (c *configuration) allVoters() []uint64 {
	ids := slices.Concat(c.conf.GetVoters(), c.conf.GetVotersOutgoing())
	slices.Sort(ids)
	return slices.Compact(ids)
}

// inConf reports whether raft's configuration counts a member, as voter or
// learner.
func (c *configuration) inConf(id uint64) bool {
	return c.isVoter(id) || slices.Contains(c.conf.GetLearners(), id) || slices.Contains(c.conf.GetLearnersNext(), id)
}

func (c *configuration) isVoter(id uint64) bool {
	return slices.Contains(c.conf.GetVoters(), id) || slices.Contains(c.conf.GetVotersOutgoing(), id)
}

// halves returns the voters of the configuration, and while it is joint those of the
// configuration before.
func (c *configuration) halves() [][]uint64 {
	return slices.DeleteFunc([][]uint64{c.conf.GetVoters(), c.conf.GetVotersOutgoing()}, func(half []uint64) bool { return len(half) == 0 })
}

// majority reports whether a majority of the configuration, of both halves while it is
// joint, fulfils a condition.
func (c *configuration) majority(fulfils func(id uint64) bool) bool {
	voters, out := c.conf.GetVoters(), c.conf.GetVotersOutgoing()
	return count(voters, fulfils) > len(voters)/2 && (len(out) == 0 || count(out, fulfils) > len(out)/2)
}

// only returns those that fulfil a condition.
func only(ids []uint64, fulfils func(id uint64) bool) (those []uint64) {
	for _, id := range ids {
		if fulfils(id) {
			those = append(those, id)
		}
	}
	return those
}

// count returns how many fulfil a condition.
func count(ids []uint64, fulfils func(id uint64) bool) (k int) {
	for _, id := range ids {
		if fulfils(id) {
			k++
		}
	}
	return k
}
