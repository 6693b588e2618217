package memory

import (
	"time"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// maxUnanswered is how many renewals of a stream may be unanswered at a time; the oldest are forgotten.
const maxUnanswered = 64

// renewals are those of one stream.
type renewals struct {
	last uint64
	// sent is when those were asked for that are not answered.
	sent map[uint64]Moment
}

// lease is until when a client may answer from memory. It counts from before its renewal was sent, by whichever clock is
// over first.
//
// What was learned on a stream is registered with the replica of that stream, and with those that it was named to since.
// So a lease counts for what was learned on its own stream or on one before, and not for what a later one brought.
type lease struct {
	streams map[int]*renewals
	// newest is the stream that was opened last.
	newest int
	// granted is the last stream that granted a lease.
	granted int
	until   Moment
	// position is up to where everything that the client holds is right.
	position *tokenv1.HoldPosition
}

func newLease() lease {
	return lease{streams: map[int]*renewals{}, until: longAgo}
}

// isHeld tells whether anything may be answered from memory.
func (l *lease) isHeld(now Moment) bool {
	return !l.until.IsOver(now)
}

// covers tells whether what was learned on a stream may be answered by.
func (l *lease) covers(stream int, now Moment) bool {
	return stream <= l.granted && l.isHeld(now)
}

func (l *lease) open() int {
	l.newest++
	l.streams[l.newest] = &renewals{sent: map[uint64]Moment{}}
	return l.newest
}

func (l *lease) end(stream int) {
	delete(l.streams, stream)
}

// renew notes the time before a renewal is sent, and gives its number; 0 if the stream has ended.
func (l *lease) renew(stream int, now Moment) uint64 {
	own := l.streams[stream]
	if own == nil {
		return 0
	}
	own.last++
	own.sent[own.last] = now
	if own.last > maxUnanswered {
		delete(own.sent, own.last-maxUnanswered)
	}
	return own.last
}

// grant takes the answer to a renewal. It tells whether a lease was granted.
func (l *lease) grant(stream int, answer *tokenv1.HoldGrant) bool {
	own := l.streams[stream]
	if own == nil {
		return false
	}
	from, isKnown := own.sent[answer.GetNumber()]
	delete(own.sent, answer.GetNumber())
	// What a stream grants that has been followed by another one counts for less than that other's.
	if !isKnown || answer.GetLease() == nil || stream < l.granted {
		return false
	}
	until := from.After(max(answer.GetLease().AsDuration(), time.Duration(0)))
	if stream > l.granted || until.Monotonic > l.until.Monotonic {
		l.until = until
	}
	l.granted = stream
	if answer.GetPosition() != nil {
		l.position = answer.GetPosition()
	}
	return true
}

// advance takes the position of an invalidation that was applied.
func (l *lease) advance(stream int, position *tokenv1.HoldPosition) {
	if stream == l.granted && position != nil {
		l.position = position
	}
}

// drop gives the lease up. What is held is right up to no position any more.
func (l *lease) drop() {
	l.until = longAgo
	l.position = nil
}
