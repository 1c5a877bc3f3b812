// Package observe listens to the members of a real ring as any client may, and
// judges what they say. Rings of local processes and the lab have it in common.
//
// A Recorder keeps the events of all members in the order of receipt. Package verify
// judges them as they come in, and the answers that a member claims. Leader and Whole
// judge a round of answers to status calls: whether there is one closed ring of
// exactly those who answered.
//
// The times are those of this process's clock. Claims between two questions go
// unseen.
package observe
