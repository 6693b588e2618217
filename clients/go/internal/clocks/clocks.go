// Package clocks reads both clocks of this machine.
package clocks

import (
	"sync/atomic"
	"time"

	"keyward.dev/keyward/internal/memory"
)

var (
	started   = time.Now()
	steppedBy atomic.Int64
)

// Now is the time by both clocks.
func Now() memory.Moment {
	return memory.Moment{Monotonic: monotonic(), Wall: time.Duration(time.Now().UnixNano() + steppedBy.Load())}
}

// StepWall sets the wall clock of this process, for tests alone, to so much after the right time.
func StepWall(by time.Duration) {
	steppedBy.Store(int64(by))
}
