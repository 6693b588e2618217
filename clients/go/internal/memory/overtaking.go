package memory

import (
	"slices"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// maxRemembered is how many invalidations are remembered one by one while something is under way. Of more, all count as
// one of everything.
const maxRemembered = 100

// told is which handles were told to be forgotten; nil: anything may be meant.
type told []uint64

// overtaking remembers which invalidations came while look-ups were under way, whose handles nobody knew yet: what they
// bring is not kept if one of those may have meant it.
type overtaking struct {
	remembered []told
	// dropped is how many came before those.
	dropped int
}

// now is what a look-up has to remember that begins now.
func (o *overtaking) now() int {
	return o.dropped + len(o.remembered)
}

func (o *overtaking) add(invalidation *tokenv1.HoldInvalidation) {
	o.remembered = append(o.remembered, handlesAlone(invalidation))
	if len(o.remembered) > maxRemembered {
		o.dropped += len(o.remembered) - 1
		o.remembered = []told{nil}
	}
}

// mayHaveMeant tells whether what began at `since` may have been meant by one of the invalidations that followed. A handle
// of nil stands for what has none: the value of a secret.
func (o *overtaking) mayHaveMeant(since int, handle *uint64) bool {
	for _, handles := range o.remembered[max(since-o.dropped, 0):] {
		if handles == nil || (handle != nil && slices.Contains(handles, *handle)) {
			return true
		}
	}
	return false
}

// nothingUnderWay forgets what no look-up has to know any more.
func (o *overtaking) nothingUnderWay() {
	o.dropped += len(o.remembered)
	o.remembered = nil
}

// handlesAlone are the handles of an invalidation that means nothing else; nil if it does.
func handlesAlone(i *tokenv1.HoldInvalidation) told {
	isMore := i.GetEverything() || i.GetAllSecrets() || len(i.GetUserProfileIds()) > 0 || len(i.GetUserIds()) > 0 ||
		len(i.GetAccountIds()) > 0 || len(i.GetSecretIds()) > 0
	if isMore || len(i.GetHandles()) == 0 {
		return nil
	}
	return slices.Clone(i.GetHandles())
}
