package keyward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"keyward.dev/keyward/internal/liveness"
)

const (
	// maxAnswer: a batch of a hundred secrets of 64 KiB is the largest answer; the library's limit is 4 MiB.
	maxAnswer = 8 << 20
	// connectLimit is how long it may take to connect, until another address or server is tried.
	connectLimit = 3 * time.Second
	// libraryKeepalive is the shortest time that the library allows.
	libraryKeepalive = 10 * time.Second
)

const roundRobin = `{"loadBalancingConfig": [{"round_robin": {}}]}`

// server is one of the servers of the service.
type server struct {
	address string
	conn    *grpc.ClientConn
}

// transport makes calls to the servers of one service, by turns, with the caller's own token.
type transport struct {
	options Options
	tokens  tokenSource
	servers []*server
	turn    atomic.Uint64
}

func newTransport(options Options) (*transport, error) {
	tokens, err := newTokenSource(&options)
	if err != nil {
		return nil, err
	}
	t := &transport{options: options, tokens: tokens}
	// Not all programs begin with the same server.
	t.turn.Store(uint64(rand.Uint32()))
	for _, address := range options.Servers {
		conn, err := newConn(address, &options)
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		t.servers = append(t.servers, &server{address: address, conn: conn})
	}
	return t, nil
}

func newConn(address string, options *Options) (*grpc.ClientConn, error) {
	if err := options.checkServer(address); err != nil {
		return nil, err
	}
	transportCredentials := insecure.NewCredentials()
	if options.usesTLS(address) {
		config, err := options.tlsConfig()
		if err != nil {
			return nil, err
		}
		transportCredentials = credentials.NewTLS(config)
	}
	backoffs := grpcbackoff.Config{BaseDelay: firstWait, Multiplier: 2, Jitter: 0.2, MaxDelay: maxWait}
	dialOptions := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoffs, MinConnectTimeout: connectLimit}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		// A name may stand for several servers.
		grpc.WithDefaultServiceConfig(roundRobin),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithUserAgent(agent),
	}
	if !options.Proxy {
		dialOptions = append(dialOptions, grpc.WithNoProxy())
	}
	if alive := options.Keepalive.withDefaults(); alive.Time > 0 {
		// The library asks connections with calls for a sign of life, but not as often.
		parameters := keepalive.ClientParameters{Time: libraryKeepalive, Timeout: alive.Timeout}
		dialOptions = append(dialOptions, grpc.WithKeepaliveParams(parameters))
		transportCredentials = liveness.Watch(transportCredentials, alive.Time, alive.Timeout)
	}
	dialOptions = append(dialOptions, grpc.WithTransportCredentials(transportCredentials))
	conn, err := grpc.NewClient(target(address), dialOptions...)
	if err != nil {
		return nil, fmt.Errorf("keyward: the server %q: %w", address, err)
	}
	return conn, nil
}

// target: addresses are no URLs, but for that of a Unix socket. What is no name needs no name server.
func target(address string) string {
	if strings.HasPrefix(address, "unix:") {
		return address
	}
	return "dns:///" + address
}

func (t *transport) close() error {
	var errs []error
	for _, each := range t.servers {
		errs = append(errs, each.conn.Close())
	}
	return errors.Join(errs...)
}

// Invoke makes a call, again where that is safe and may help.
func (t *transport) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	if _, isLimited := ctx.Deadline(); !isLimited {
		limit := t.options.Timeout
		if limit == 0 {
			limit = timeoutOf(method)
		}
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = limited
	}
	isRepeatable := !t.options.NoRetry && mayRepeat(method, request)
	isTokenFresh := false
	var failed *server
	for attempt := 0; ; attempt++ {
		at := t.next(failed, hasFailed)
		token, failure := t.attempt(ctx, at, method, request, response, options)
		switch {
		case failure == nil:
			return nil
		case failure.Code == codes.Unauthenticated && !isTokenFresh && t.tokens.refused(token):
			isTokenFresh = true
			continue
		case !isRepeatable || !failure.isPassing():
			return failure
		}
		wait := backoff(attempt, maxWait)
		if deadline, _ := ctx.Deadline(); time.Until(deadline) <= wait {
			return failure
		}
		if !sleep(ctx, wait) {
			return ended(ctx)
		}
		failed = at
	}
}

// NewStream opens a stream, with the next server in turn.
func (t *transport) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return t.via(t.next(nil, 0)).NewStream(ctx, desc, method, options...)
}

// via makes what calls one server alone, once.
func (t *transport) via(at *server) grpc.ClientConnInterface {
	return &oneServer{transport: t, server: at}
}

type oneServer struct {
	transport *transport
	server    *server
}

func (s *oneServer) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	if _, failure := s.transport.attempt(ctx, s.server, method, request, response, options); failure != nil {
		return failure
	}
	return nil
}

func (s *oneServer) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, _, err := s.transport.withMetadata(ctx)
	if err != nil {
		return nil, toError(ctx, err)
	}
	stream, err := s.server.conn.NewStream(ctx, desc, method, options...)
	if err != nil {
		return nil, toError(ctx, err)
	}
	return &clientStream{ClientStream: stream}, nil
}

func (t *transport) attempt(
	ctx context.Context, at *server, method string, request, response any, options []grpc.CallOption,
) (string, *Error) {
	outgoing, token, err := t.withMetadata(ctx)
	if err != nil {
		return token, toError(ctx, err)
	}
	if err := at.conn.Invoke(outgoing, method, request, response, options...); err != nil {
		return token, toError(ctx, err)
	}
	return token, nil
}

func (t *transport) withMetadata(ctx context.Context) (context.Context, string, error) {
	var pairs []string
	for name, value := range t.options.Metadata {
		pairs = append(pairs, name, value)
	}
	token, err := t.tokens.get(ctx)
	if err != nil {
		return ctx, "", err
	}
	if token != "" {
		pairs = append(pairs, "authorization", "Bearer "+token)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...), token, nil
}

// next is the next in turn that is not known to be out of reach, and another than the one to be avoided, if there is one.
func (t *transport) next(avoided *server, by rank) *server {
	turn := t.turn.Add(1)
	var best *server
	var bestRank rank
	for at := range uint64(len(t.servers)) {
		each := t.servers[(turn+at)%uint64(len(t.servers))]
		own := rankOf(each)
		if each == avoided {
			own += by
		}
		if best == nil || own < bestRank {
			best, bestRank = each, own
		}
	}
	return best
}

// rank is how much speaks against a server.
type rank int

const (
	// hasFailed counts less than that no other can be reached.
	hasFailed rank = 1
	isTried   rank = 2
	isLost    rank = 4
	// isLeaving counts more.
	isLeaving rank = 8
)

// rankOf puts servers that can be reached, or were not tried, before those that are being tried, and those before the lost.
func rankOf(each *server) rank {
	switch each.conn.GetState() {
	case connectivity.Connecting:
		return isTried
	case connectivity.TransientFailure:
		return isLost
	default:
		return 0
	}
}

// clientStream is a stream whose errors are of type *Error.
type clientStream struct {
	grpc.ClientStream
}

func (s *clientStream) SendMsg(message any) error { return s.toError(s.ClientStream.SendMsg(message)) }
func (s *clientStream) RecvMsg(message any) error { return s.toError(s.ClientStream.RecvMsg(message)) }
func (s *clientStream) CloseSend() error          { return s.toError(s.ClientStream.CloseSend()) }

func (s *clientStream) Header() (metadata.MD, error) {
	header, err := s.ClientStream.Header()
	return header, s.toError(err)
}

func (s *clientStream) toError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return toError(s.Context(), err)
}
