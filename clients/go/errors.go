package keyward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const speaksNoTLS = "the server speaks no TLS; give Plaintext if nobody else can read the network"

// Violation is a field that breaks a rule, with the rule.
type Violation struct {
	Field string
	Rule  string
}

// Error is a call that failed, with what the service says of the cause. Every error of a call is one: find it by errors.As.
// Where the context of the call has ended, errors.Is finds context.Canceled or context.DeadlineExceeded too.
type Error struct {
	// Code is the status code of gRPC.
	Code codes.Code
	// Message is for people, and may change.
	Message string
	// Reason is the name of a keyward.errors.v1.ErrorReason without its prefix; empty if the service could not be asked.
	Reason string
	// Metadata are facts about the cause, see the reason.
	Metadata map[string]string
	// Violations are fields that break a rule.
	Violations []Violation
	// RetryAfter is after how long the call may be tried again; zero if the service does not say.
	RetryAfter time.Duration

	status *status.Status
	cause  error
}

// Error gives code, reason and message.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("keyward: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("keyward: %s (%s): %s", e.Code, e.Reason, e.Message)
}

// RequestID is what the service's log calls the call; empty if the service could not be asked.
func (e *Error) RequestID() string {
	return e.Metadata["request_id"]
}

// GRPCStatus lets status.FromError and status.Code understand the error.
func (e *Error) GRPCStatus() *status.Status {
	return e.status
}

// Unwrap gives context.Canceled or context.DeadlineExceeded, if that is why the call has ended, or the error of
// Options.TokenFunc.
func (e *Error) Unwrap() error {
	return e.cause
}

// isPassing tells failures that may be over soon: the server is not reached, is being stopped, or lacks its database.
func (e *Error) isPassing() bool {
	return e.Code == codes.Unavailable && e.Message != speaksNoTLS
}

// toError reads the details that come with an error of a call.
func toError(ctx context.Context, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	of, isStatus := status.FromError(err)
	failure := errorOf(of)
	switch {
	case !isStatus:
		failure.cause = err
	case failure.Code == codes.DeadlineExceeded:
		failure.cause = context.DeadlineExceeded
	case failure.Code == codes.Canceled:
		failure.cause = ctx.Err()
	}
	return failure
}

// ended is the error of a call whose context has ended.
func ended(ctx context.Context) *Error {
	return toError(ctx, status.FromContextError(ctx.Err()).Err())
}

func errorOf(s *status.Status) *Error {
	failure := &Error{Code: s.Code(), Message: s.Message(), Metadata: map[string]string{}, status: s}
	if failure.Code == codes.Unavailable && strings.Contains(failure.Message, "first record does not look like a TLS handshake") {
		failure.Message = speaksNoTLS
	}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failure.Reason = detail.GetReason()
			if detail.GetMetadata() != nil {
				failure.Metadata = detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				failure.Violations = append(failure.Violations, Violation{Field: each.GetField(), Rule: each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			failure.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return failure
}

// invalidRequest is the error of a request that is refused before it is sent, in the form in which the service refuses one.
func invalidRequest(violations []Violation) *Error {
	var texts []string
	bad := &errdetails.BadRequest{}
	for _, each := range violations {
		texts = append(texts, each.Field+" "+each.Rule)
		bad.FieldViolations = append(bad.FieldViolations,
			&errdetails.BadRequest_FieldViolation{Field: each.Field, Description: each.Rule})
	}
	plain := status.New(codes.InvalidArgument, strings.Join(texts, "; "))
	detailed, err := plain.WithDetails(&errdetails.ErrorInfo{Reason: "INVALID_FIELDS", Domain: "keyward"}, bad)
	if err != nil {
		detailed = plain
	}
	return errorOf(detailed)
}
