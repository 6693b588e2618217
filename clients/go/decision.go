package keyward

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// defaultRetryAfter is what a client is told to wait where the service does not say.
const defaultRetryAfter = time.Second

// refusal is why a request may not pass.
type refusal int

const (
	passes refusal = iota
	// noCredentials: none were presented.
	noCredentials
	// badCredentials: they are refused.
	badCredentials
	// missingScope: they lack a scope that is needed.
	missingScope
	// undecided: nobody can tell. Whoever has good credentials must not be told that they are bad.
	undecided
)

func (r refusal) message() string {
	switch r {
	case noCredentials:
		return "Credentials are required."
	case badCredentials:
		return "The credentials are refused."
	case missingScope:
		return "The credentials lack a scope that is needed."
	default:
		return "The credentials cannot be judged at present."
	}
}

// decision is the verdict on a request, or how it is refused.
type decision struct {
	verdict    Verdict
	refusal    refusal
	retryAfter time.Duration
}

// decide judges the value of a header `authorization`. It fails where the scopes are none: that is a fault of the program.
func decide(ctx context.Context, v *Validator, authorization string, scopes []string) (decision, error) {
	if err := checkScopes(scopes); err != nil {
		return decision{}, err
	}
	text, ok := bearer(authorization)
	if !ok {
		return decision{refusal: noCredentials}, nil
	}
	verdict, err := v.Validate(ctx, text, scopes...)
	if err != nil {
		return undecidedBy(err), nil
	}
	switch {
	case verdict.Valid:
		return decision{verdict: verdict}, nil
	case verdict.Reason == ReasonInsufficientScope:
		return decision{refusal: missingScope}, nil
	}
	return decision{refusal: badCredentials}, nil
}

func undecidedBy(err error) decision {
	retryAfter := defaultRetryAfter
	var failure *Error
	if errors.As(err, &failure) && failure.RetryAfter > 0 {
		retryAfter = failure.RetryAfter
	}
	return decision{refusal: undecided, retryAfter: retryAfter}
}

// bearer takes the text out of credentials, exactly as it came.
func bearer(authorization string) (string, bool) {
	scheme, text, isThere := strings.Cut(authorization, " ")
	if !isThere || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	return strings.TrimLeft(text, " "), true
}

// codeOf is the status code of gRPC.
func (r refusal) code() codes.Code {
	switch r {
	case missingScope:
		return codes.PermissionDenied
	case undecided:
		return codes.Unavailable
	default:
		return codes.Unauthenticated
	}
}
