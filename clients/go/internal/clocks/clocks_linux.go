package clocks

import (
	"time"

	"golang.org/x/sys/unix"
)

// hasBoottime: Linux has had the clock since 2011; a sandbox may lack it.
var hasBoottime = unix.ClockGettime(unix.CLOCK_BOOTTIME, &unix.Timespec{}) == nil

// monotonic goes on while the machine is suspended.
func monotonic() time.Duration {
	var at unix.Timespec
	if hasBoottime && unix.ClockGettime(unix.CLOCK_BOOTTIME, &at) == nil {
		return time.Duration(at.Nano())
	}
	return time.Since(started)
}
