package keyward

import (
	"time"

	"keyward.dev/keyward/internal/memory"
)

var started = time.Now()

// wallNow is a variable for tests that set the clock.
var wallNow = func() time.Duration { return time.Duration(time.Now().UnixNano()) }

// now reads both clocks of this machine.
func now() memory.Moment {
	return memory.Moment{Monotonic: monotonic(), Wall: wallNow()}
}
