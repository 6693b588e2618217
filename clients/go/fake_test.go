package keyward

import (
	"context"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

const (
	knownText = "token-text"
	secretID  = 5
	testEpoch = "8f14e45f-ceea-467f-a0e6-10f3f7a5a6a1"
)

// fakeReplica plays the replica's part in the protocol, as far as a test lets it.
type fakeReplica struct {
	tokenv1.UnimplementedTokenServiceServer
	address string

	mu      sync.Mutex
	streams []*fakeStream
	// inactive are texts that are switched off; knownText is known, and all others are not.
	inactive map[string]bool
	// secret is the value of every secret, empty if there is none, and version its version.
	secret  string
	version int32
	// calls are the headers `authorization` of ValidateToken and AccessSecret.
	calls []string
	// lease is what is granted; zero: nothing is.
	lease         time.Duration
	isNotResuming bool
	staysWhenLeft bool
	isNotKeeping  bool
	failure       codes.Code
	failures      int
	ownToken      string
	hangs         bool
}

type fakeStream struct {
	grpc.BidiStreamingServer[tokenv1.HoldVerdictsRequest, tokenv1.HoldVerdictsResponse]
	sending  sync.Mutex
	received []*tokenv1.HoldVerdictsRequest
	hasEnded bool
	end      chan error
}

func startFake(t *testing.T) *fakeReplica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeReplica{
		address: listener.Addr().String(), inactive: map[string]bool{}, secret: "first", version: 1, lease: 3 * time.Second,
	}
	// As Keyward, it does not mind how often it is asked for a sign of life.
	policy := keepalive.EnforcementPolicy{MinTime: time.Millisecond, PermitWithoutStream: true}
	server := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(policy))
	tokenv1.RegisterTokenServiceServer(server, r)
	secretv1.RegisterSecretServiceServer(server, &fakeSecrets{replica: r})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return r
}

func (r *fakeReplica) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *fakeReplica) HoldVerdicts(
	stream grpc.BidiStreamingServer[tokenv1.HoldVerdictsRequest, tokenv1.HoldVerdictsResponse],
) error {
	s := &fakeStream{BidiStreamingServer: stream, end: make(chan error, 1)}
	r.mu.Lock()
	if r.failure != codes.OK {
		defer r.mu.Unlock()
		return status.Error(r.failure, "refused by the test")
	}
	r.streams = append(r.streams, s)
	r.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- r.read(s) }()
	select {
	case err := <-s.end:
		return err
	case err := <-ended:
		r.mu.Lock()
		s.hasEnded = true
		stays := r.staysWhenLeft
		r.mu.Unlock()
		if stays {
			<-stream.Context().Done()
		}
		return err
	}
}

func (r *fakeReplica) read(s *fakeStream) error {
	for {
		message, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.mu.Lock()
		s.received = append(s.received, message)
		answer := r.answer(message)
		r.mu.Unlock()
		if answer != nil {
			s.send(answer)
		}
	}
}

func (s *fakeStream) send(message *tokenv1.HoldVerdictsResponse) {
	s.sending.Lock()
	defer s.sending.Unlock()
	_ = s.Send(message)
}

func (r *fakeReplica) answer(message *tokenv1.HoldVerdictsRequest) *tokenv1.HoldVerdictsResponse {
	switch message := message.GetMessage().(type) {
	case *tokenv1.HoldVerdictsRequest_Open:
		return &tokenv1.HoldVerdictsResponse{Message: &tokenv1.HoldVerdictsResponse_Opened{Opened: &tokenv1.HoldOpened{
			Resumed: !r.isNotResuming, MaxEntries: 100, MaxSecrets: 10, RenewEvery: durationpb.New(20 * time.Millisecond),
		}}}
	case *tokenv1.HoldVerdictsRequest_LookUp:
		facts := &tokenv1.HoldFacts{}
		for _, text := range message.LookUp.GetTexts() {
			facts.Facts = append(facts.Facts, r.factOf(text))
		}
		return &tokenv1.HoldVerdictsResponse{Message: &tokenv1.HoldVerdictsResponse_Facts{Facts: facts}}
	case *tokenv1.HoldVerdictsRequest_Access:
		accessed := &tokenv1.HoldAccessed{Id: message.Access.GetId()}
		if access := r.access(); access != nil {
			accessed.Result, accessed.Keep = &tokenv1.HoldAccessed_Access{Access: access}, true
		} else {
			accessed.Result = &tokenv1.HoldAccessed_Error{Error: &rpcstatus.Status{Code: int32(codes.NotFound)}}
		}
		return &tokenv1.HoldVerdictsResponse{Message: &tokenv1.HoldVerdictsResponse_Accessed{Accessed: accessed}}
	case *tokenv1.HoldVerdictsRequest_Renewal:
		grant := &tokenv1.HoldGrant{
			Number: message.Renewal.GetNumber(), Position: &tokenv1.HoldPosition{Epoch: testEpoch, Revision: 1},
		}
		if r.lease > 0 {
			grant.Lease = durationpb.New(r.lease)
		}
		return &tokenv1.HoldVerdictsResponse{Message: &tokenv1.HoldVerdictsResponse_Grant{Grant: grant}}
	}
	return nil
}

func (r *fakeReplica) access() *secretv1.AccessSecretResponse {
	if r.secret == "" {
		return nil
	}
	return &secretv1.AccessSecretResponse{
		SecretId: secretID, Version: r.version,
		Payload: &secretv1.SecretPayload{Value: &secretv1.SecretPayload_Text{Text: r.secret}},
	}
}

func handleOf(text string) uint64 {
	digest := sha512.Sum512([]byte(text))
	return binary.LittleEndian.Uint64(digest[:])
}

func somebody() *tokenv1.Principal {
	return &tokenv1.Principal{UserId: 1, UserProfileId: 2, AccountId: 3, Username: "someone", AccountNumber: "4"}
}

func (r *fakeReplica) factOf(text *tokenv1.HoldText) *tokenv1.HoldFact {
	digest := sha512.Sum512([]byte(knownText))
	if string(digest[:]) != string(text.GetDigest()) {
		return &tokenv1.HoldFact{Id: text.GetId()}
	}
	return &tokenv1.HoldFact{
		Id: text.GetId(), Keep: !r.isNotKeeping, Known: true, Handle: handleOf(knownText), KeyId: "key", Principal: somebody(),
		Scopes: []string{"orders:*"}, IsActive: !r.inactive[knownText], UserIsActive: true, AccountIsActive: true,
	}
}

// called notes a call, and gives how it fails.
func (r *fakeReplica) called(ctx context.Context) error {
	authorization := ""
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		authorization = values[0]
	}
	r.calls = append(r.calls, authorization)
	if r.hangs {
		r.mu.Unlock()
		<-ctx.Done()
		r.mu.Lock()
		return ctx.Err()
	}
	if r.ownToken != "" && authorization != "Bearer "+r.ownToken {
		return status.Error(codes.Unauthenticated, "credentials are refused")
	}
	if r.failure != codes.OK {
		if r.failures == 0 {
			return status.Error(r.failure, "refused by the test")
		}
		r.failures--
		if r.failures == 0 {
			defer func() { r.failure = codes.OK }()
		}
		return status.Error(r.failure, "refused by the test")
	}
	return nil
}

func (r *fakeReplica) ValidateToken(
	ctx context.Context, request *tokenv1.ValidateTokenRequest,
) (*tokenv1.ValidateTokenResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.called(ctx); err != nil {
		return nil, err
	}
	if request.GetToken() != knownText {
		return &tokenv1.ValidateTokenResponse{Reason: tokenv1.VerdictReason_VERDICT_REASON_UNKNOWN}, nil
	}
	if r.inactive[knownText] {
		return &tokenv1.ValidateTokenResponse{Reason: tokenv1.VerdictReason_VERDICT_REASON_INACTIVE, KeyId: "key"}, nil
	}
	if slices.Contains(request.GetRequiredScopes(), "users:read") {
		insufficient := tokenv1.VerdictReason_VERDICT_REASON_INSUFFICIENT_SCOPE
		return &tokenv1.ValidateTokenResponse{Reason: insufficient, KeyId: "key"}, nil
	}
	return &tokenv1.ValidateTokenResponse{
		Valid: true, Reason: tokenv1.VerdictReason_VERDICT_REASON_OK, KeyId: "key", Principal: somebody(),
		Scopes: []string{"orders:*"},
	}, nil
}

// fakeSecrets is apart since both services have methods of the same names.
type fakeSecrets struct {
	secretv1.UnimplementedSecretServiceServer
	replica *fakeReplica
}

func (s *fakeSecrets) AccessSecret(
	ctx context.Context, _ *secretv1.AccessSecretRequest,
) (*secretv1.AccessSecretResponse, error) {
	r := s.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.called(ctx); err != nil {
		return nil, err
	}
	if access := r.access(); access != nil {
		return access, nil
	}
	return nil, status.Error(codes.NotFound, "no secret")
}

// stream is the one that was opened last.
func (r *fakeReplica) stream() *fakeStream {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.streams) == 0 {
		return nil
	}
	return r.streams[len(r.streams)-1]
}

// all are the messages of one kind on all streams.
func all[Kind any](r *fakeReplica, pick func(*tokenv1.HoldVerdictsRequest) *Kind) []*Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*Kind
	for _, stream := range r.streams {
		for _, message := range stream.received {
			if each := pick(message); each != nil {
				found = append(found, each)
			}
		}
	}
	return found
}

func (r *fakeReplica) opens() []*tokenv1.HoldOpen {
	return all(r, (*tokenv1.HoldVerdictsRequest).GetOpen)
}

func (r *fakeReplica) renewals() []*tokenv1.HoldRenewal {
	return all(r, (*tokenv1.HoldVerdictsRequest).GetRenewal)
}

func (r *fakeReplica) acknowledgements() []*tokenv1.HoldAcknowledgement {
	return all(r, (*tokenv1.HoldVerdictsRequest).GetAcknowledgement)
}

func (r *fakeReplica) accesses() []*tokenv1.HoldAccess {
	return all(r, (*tokenv1.HoldVerdictsRequest).GetAccess)
}

func (r *fakeReplica) callCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

func (r *fakeReplica) invalidate(invalidation *tokenv1.HoldInvalidation) {
	r.stream().send(&tokenv1.HoldVerdictsResponse{
		Message: &tokenv1.HoldVerdictsResponse_Invalidation{Invalidation: invalidation},
	})
}
