package keyward

import (
	"context"
	"math/rand/v2"
	"regexp"
	"time"
)

const (
	longTimeout    = 5 * time.Minute
	defaultTimeout = 10 * time.Second
	// firstWait is that before a call is tried again, and maxWait the longest; each is twice the one before.
	firstWait = 50 * time.Millisecond
	maxWait   = time.Second
)

var (
	// reads are methods that change nothing. AccessSecret records who got a value, and does so for each answer.
	reads = regexp.MustCompile(`/(Get|List|Validate|BatchValidate|Access|BatchAccess|Resolve)[A-Za-z]+$|/grpc\.health\.`)
	// longMethods go through any number of rows.
	longMethods = regexp.MustCompile(`/(RevokeUserTokens|DeleteUser|DeleteUserProfile|DeleteAccount)$`)
)

// timeoutOf is how long a call of a method may take where nobody says.
func timeoutOf(method string) time.Duration {
	if longMethods.MatchString(method) {
		return longTimeout
	}
	return defaultTimeout
}

// mayRepeat tells whether a call that may have been done already does no harm when it is made again.
func mayRepeat(method string, request any) bool {
	if reads.MatchString(method) {
		return true
	}
	if only, ok := request.(interface{ GetValidateOnly() bool }); ok && only.GetValidateOnly() {
		return true
	}
	identified, ok := request.(interface{ GetRequestId() string })
	return ok && identified.GetRequestId() != ""
}

// backoff is how long is waited before something is tried for the n-th time again, beginning with 0, spread by a fifth.
func backoff(attempt int, most time.Duration) time.Duration {
	wait := most
	if attempt < 20 {
		wait = min(firstWait<<attempt, most)
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}

// sleep waits, and tells whether it has waited to the end.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
