package keyward

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// GRPCAuthOptions are those of an interceptor. All of them may be left out.
type GRPCAuthOptions struct {
	// Scopes are those that a method needs, such as `/orders.v1.Orders/List`; none if nil.
	Scopes func(fullMethod string) []string
	// IsOpen tells methods that anybody may call, for example those of gRPC's health; none if nil.
	IsOpen func(fullMethod string) bool
}

// UnaryAuth makes an interceptor for servers of grpc-go. Calls with credentials that pass go on, and VerdictFrom tells from
// their context whose they are. Others fail with UNAUTHENTICATED, PERMISSION_DENIED for a missing scope, or UNAVAILABLE, with
// a google.rpc.RetryInfo, where nobody can tell.
func UnaryAuth(validator *Validator, options GRPCAuthOptions) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, err := options.judge(ctx, validator, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return handler(ctx, request)
	}
}

// StreamAuth is UnaryAuth for streams. They are judged when they begin.
func StreamAuth(validator *Validator, options GRPCAuthOptions) grpc.StreamServerInterceptor {
	return func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := options.judge(stream.Context(), validator, info.FullMethod)
		if err != nil {
			return err
		}
		return handler(service, &judgedStream{ServerStream: stream, ctx: ctx})
	}
}

type judgedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *judgedStream) Context() context.Context { return s.ctx }

func (o *GRPCAuthOptions) judge(ctx context.Context, v *Validator, method string) (context.Context, error) {
	if o.IsOpen != nil && o.IsOpen(method) {
		return ctx, nil
	}
	var scopes []string
	if o.Scopes != nil {
		scopes = o.Scopes(method)
	}
	authorization := ""
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		authorization = values[0]
	}
	decided, err := decide(ctx, v, authorization, scopes)
	switch {
	case err != nil:
		return nil, status.Error(codes.Internal, "The call cannot be judged.")
	case decided.refusal == passes:
		return withVerdict(ctx, &decided.verdict), nil
	}
	refused := status.New(decided.refusal.code(), decided.refusal.message())
	if decided.refusal == undecided {
		retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(decided.retryAfter)}
		if detailed, err := refused.WithDetails(retry); err == nil {
			refused = detailed
		}
	}
	return nil, refused.Err()
}
