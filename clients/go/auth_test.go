package keyward

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestHTTPAuth(t *testing.T) {
	replica := startFake(t)
	replica.lease = 0
	validator := openValidator(t, ValidatorOptions{}, replica.address)
	greet := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verdict, ok := VerdictFrom(r.Context())
		_, _ = w.Write([]byte(verdict.Principal.Username))
		if !ok {
			t.Error("there is no verdict")
		}
	})
	for name, test := range map[string]struct {
		authorization string
		scope         string
		failure       codes.Code
		status        int
		challenge     string
		body          string
	}{
		"good":          {"Bearer " + knownText, "orders:read", 0, 200, "", "someone"},
		"in any case":   {"bEARER   " + knownText, "orders:read", 0, 200, "", "someone"},
		"none":          {"", "", 0, 401, `Bearer realm="a \"b\" \\"`, `{"error":"","message":"Credentials are required."}` + "\n"},
		"other scheme":  {"Basic " + knownText, "", 0, 401, `Bearer realm="a \"b\" \\"`, `{"error":"","message":"Credentials are required."}` + "\n"},
		"bad":           {"Bearer x", "", 0, 401, `Bearer realm="a \"b\" \\", error="invalid_token"`, `{"error":"invalid_token","message":"The credentials are refused."}` + "\n"},
		"missing scope": {"Bearer " + knownText, "users:read", 0, 403, `Bearer realm="a \"b\" \\", error="insufficient_scope", scope="users:read"`, `{"error":"insufficient_scope","message":"The credentials lack a scope that is needed."}` + "\n"},
		"undecided":     {"Bearer " + knownText, "", codes.Internal, 503, "", `{"error":"","message":"The credentials cannot be judged at present."}` + "\n"},
		// The service's own credentials are refused, which is no fault of who calls it.
		"own trouble": {"Bearer " + knownText, "", codes.Unauthenticated, 503, "", `{"error":"","message":"The credentials cannot be judged at present."}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			replica.set(func() { replica.failure, replica.failures = test.failure, 0 })
			options := HTTPAuthOptions{Realm: `a "b" \`}
			if test.scope != "" {
				options.Scopes = []string{test.scope}
			}
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.authorization != "" {
				request.Header.Set("Authorization", test.authorization)
			}
			answer := httptest.NewRecorder()
			HTTPAuth(validator, options)(greet).ServeHTTP(answer, request)
			if answer.Code != test.status || answer.Header().Get("WWW-Authenticate") != test.challenge {
				t.Errorf("%d, %s", answer.Code, answer.Header())
			}
			if answer.Body.String() != test.body {
				t.Error(answer.Body)
			}
			if isToldToWait := answer.Header().Get("Retry-After") == "1"; isToldToWait != (test.status == 503) {
				t.Error(answer.Header())
			}
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("scopes that are none were taken")
		}
	}()
	HTTPAuth(validator, HTTPAuthOptions{Scopes: []string{"NO"}})
}

// startGuarded starts a server whose calls are judged, and gives a client of it.
func startGuarded(t *testing.T, validator *Validator, scope string) grpc_health_v1.HealthClient {
	t.Helper()
	options := GRPCAuthOptions{
		Scopes: func(string) []string { return []string{scope} },
		IsOpen: func(method string) bool { return method == grpc_health_v1.Health_List_FullMethodName },
	}
	hasVerdict := func(ctx context.Context, method string) {
		if verdict, ok := VerdictFrom(ctx); !options.IsOpen(method) && (!ok || verdict.Principal.Username != "someone") {
			t.Error("there is no verdict")
		}
	}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(UnaryAuth(validator, options),
			func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				hasVerdict(ctx, info.FullMethod)
				return handler(ctx, request)
			}),
		grpc.ChainStreamInterceptor(StreamAuth(validator, options),
			func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				hasVerdict(stream.Context(), info.FullMethod)
				return handler(service, stream)
			}),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-done
	})
	return grpc_health_v1.NewHealthClient(conn)
}

func TestGRPCAuth(t *testing.T) {
	replica := startFake(t)
	replica.lease = 0
	validator := openValidator(t, ValidatorOptions{}, replica.address)
	for name, test := range map[string]struct {
		authorization string
		scope         string
		failure       codes.Code
		want          codes.Code
	}{
		"good":          {"Bearer " + knownText, "orders:read", codes.OK, codes.OK},
		"none":          {"", "a", codes.OK, codes.Unauthenticated},
		"bad":           {"Bearer x", "a", codes.OK, codes.Unauthenticated},
		"missing scope": {"Bearer " + knownText, "users:read", codes.OK, codes.PermissionDenied},
		"undecided":     {"Bearer " + knownText, "a", codes.Unauthenticated, codes.Unavailable},
		"no scope":      {"Bearer " + knownText, "NO", codes.OK, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			replica.set(func() { replica.failure, replica.failures = test.failure, 0 })
			guarded := startGuarded(t, validator, test.scope)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := guarded.List(ctx, &grpc_health_v1.HealthListRequest{}); err != nil {
				t.Error(err)
			}
			if test.authorization != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", test.authorization)
			}
			_, err := guarded.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			if status.Code(err) != test.want {
				t.Errorf("a call: %v", err)
			}
			if test.want == codes.Unavailable {
				if details := status.Convert(err).Details(); len(details) != 1 || details[0].(*errdetails.RetryInfo) == nil {
					t.Errorf("got %v", details)
				}
			}
			stream, err := guarded.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != test.want {
				t.Errorf("a stream: %v", err)
			}
		})
	}
}
