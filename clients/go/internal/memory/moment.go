package memory

import (
	"math"
	"time"
)

// Moment is a time by both clocks of a machine. Either clock may be set, or stand still, alone.
type Moment struct {
	// Monotonic is since a moment that is nobody's business.
	Monotonic time.Duration
	// Wall is since 1970.
	Wall time.Duration
}

const farthest = time.Duration(math.MaxInt64)

var (
	// never comes by neither clock.
	never = Moment{Monotonic: farthest, Wall: farthest}
	// longAgo is over by both clocks.
	longAgo = Moment{Monotonic: math.MinInt64, Wall: math.MinInt64}
)

// After is the moment that is so much later by either clock.
func (m Moment) After(span time.Duration) Moment {
	return Moment{Monotonic: later(m.Monotonic, span), Wall: later(m.Wall, span)}
}

// IsOver tells whether the moment has come by at least one clock.
func (m Moment) IsOver(now Moment) bool {
	return now.Monotonic >= m.Monotonic || now.Wall >= m.Wall
}

// later adds; a sum that is too large is the farthest time that there is.
func later(at, span time.Duration) time.Duration {
	if span > 0 && at > farthest-span {
		return farthest
	}
	return at + span
}
