//go:build !linux

package clocks

import "time"

// monotonic may stand still while the machine is suspended: then the wall clock goes on.
func monotonic() time.Duration {
	return time.Since(started)
}
