package keyward

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

func validate(client *Client, text string) (*tokenv1.ValidateTokenResponse, error) {
	return client.Tokens.ValidateToken(context.Background(), &tokenv1.ValidateTokenRequest{Token: text})
}

func TestRefusesOptionsThatContradictEachOther(t *testing.T) {
	for want, options := range map[string]Options{
		"no port":             {Servers: []string{"keyward"}},
		"this machine":        {Servers: []string{"localhost:1"}, Proxy: true},
		"in plaintext":        {Servers: []string{"keyward:1"}, Proxy: true, Plaintext: true},
		"Plaintext does not":  {Plaintext: true, TLS: true},
		"given together":      {CertFile: "x"},
		"give one of Token":   {Token: "x", TokenFile: "y"},
		"no header can carry": {Token: "x\n"},
		"TokenFile":           {TokenFile: "/none"},
		"CAFile":              {CAFile: "/none"},
		"Label":               {Label: "no spaces"},
		"Timeout":             {Timeout: -1},
	} {
		if client, err := New(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			if client != nil {
				_ = client.Close()
			}
		}
	}
}

func TestUsesTLSBeyondLoopback(t *testing.T) {
	for server, want := range map[string]bool{
		"127.0.0.1:1": false, "127.8.0.1:1": false, "[::1]:1": false, "localhost:1": false, "LOCALHOST:1": false,
		"unix:/run/keyward": false, "keyward:1": true, "localhost.evil.example:1": true, "127.1:1": true, "10.0.0.1:1": true,
		"dns://10.0.0.1/localhost:1": true, "unix-abstract:x:1": true,
	} {
		if got := (&Options{}).usesTLS(server); got != want {
			t.Errorf("%s: %v", server, got)
		}
	}
	if !(&Options{TLS: true}).usesTLS("localhost:1") || (&Options{Plaintext: true}).usesTLS("keyward:1") {
		t.Error("the options do not count")
	}
}

func TestSaysThatAServerSpeaksNoTLS(t *testing.T) {
	replica := startFake(t)
	_, err := Dial(t.Context(), Options{Servers: []string{replica.address}, TLS: true, Timeout: 5 * time.Second})
	if err == nil || !strings.Contains(err.Error(), speaksNoTLS) {
		t.Fatalf("got %v", err)
	}
}

func TestDialWaitsForAServer(t *testing.T) {
	replica := startFake(t)
	way := startProxy(t, replica.address)
	way.refuse(true)
	options := Options{Servers: []string{way.address}, Timeout: 200 * time.Millisecond}
	if _, err := Dial(t.Context(), options); err == nil {
		t.Fatal("it connected to nothing")
	}
	time.AfterFunc(100*time.Millisecond, func() { way.refuse(false) })
	options.Timeout = 10 * time.Second
	client, err := Dial(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
}

func TestAsksAgainUntilTheServiceIsBack(t *testing.T) {
	replica := startFake(t)
	replica.failure, replica.failures = codes.Unavailable, 2
	client := openClient(t, Options{}, replica.address)
	if response, err := validate(client, knownText); err != nil || !response.GetValid() || replica.callCount() != 3 {
		t.Fatalf("%v, %v, %d calls", response, err, replica.callCount())
	}
	replica.set(func() { replica.failure, replica.failures = codes.Unavailable, 2 })
	hasty := openClient(t, Options{NoRetry: true}, replica.address)
	var failure *Error
	if _, err := validate(hasty, knownText); !errors.As(err, &failure) || failure.Code != codes.Unavailable {
		t.Fatalf("got %v", err)
	}
}

func TestRepeatsWhatDoesNoHarm(t *testing.T) {
	for method, want := range map[string]bool{
		tokenv1.TokenService_ValidateToken_FullMethodName:   true,
		tokenv1.TokenService_ListTokens_FullMethodName:      true,
		secretv1.SecretService_AccessSecret_FullMethodName:  true,
		tokenv1.TokenService_CreateToken_FullMethodName:     false,
		secretv1.SecretService_DeleteSecret_FullMethodName:  false,
		tokenv1.TokenService_DeactivateToken_FullMethodName: false,
	} {
		if mayRepeat(method, nil) != want {
			t.Errorf("%s is taken for another", method)
		}
	}
	if !mayRepeat("/x/Create", &tokenv1.CreateTokenRequest{RequestId: "x"}) ||
		!mayRepeat("/x/Create", &tokenv1.CreateTokenRequest{ValidateOnly: true}) ||
		mayRepeat("/x/Create", &tokenv1.CreateTokenRequest{}) {
		t.Error("a request is taken for another")
	}
}

func TestReadsItsTokenAgainWhenTheFileIsReplaced(t *testing.T) {
	replica := startFake(t)
	replica.ownToken = "first"
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := errors.Join(os.WriteFile(file+".new", []byte(token+"\n"), 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	client := openClient(t, Options{TokenFile: file}, replica.address)
	for _, token := range []string{"first", "second"} {
		write(token)
		replica.set(func() { replica.ownToken = token })
		if _, err := validate(client, knownText); err != nil {
			t.Fatal(err)
		}
	}
	replica.set(func() { replica.ownToken = "third" })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	var failure *Error
	if _, err := validate(client, knownText); !errors.As(err, &failure) || failure.Code != codes.Unauthenticated {
		t.Fatalf("got %v", err)
	}
}

func TestAsksAFunctionForItsToken(t *testing.T) {
	replica := startFake(t)
	replica.ownToken = "second"
	tokens := []string{"first", "second"}
	client := openClient(t, Options{TokenFunc: func(context.Context) (string, error) {
		token := tokens[0]
		tokens = tokens[1:]
		return token, nil
	}}, replica.address)
	if _, err := validate(client, knownText); err != nil {
		t.Fatal(err)
	}
}

func TestFailsWithTheErrorOfTheFunction(t *testing.T) {
	replica := startFake(t)
	none := errors.New("there is no token")
	client := openClient(t, Options{TokenFunc: func(context.Context) (string, error) { return "", none }}, replica.address)
	if _, err := validate(client, knownText); !errors.Is(err, none) || replica.callCount() != 0 {
		t.Fatalf("got %v", err)
	}
}

func TestLeavesOutServersThatCannotBeReached(t *testing.T) {
	replica, other := startFake(t), startFake(t)
	way := startProxy(t, other.address)
	client := openClient(t, Options{}, replica.address, way.address)
	for range 10 {
		if _, err := validate(client, knownText); err != nil {
			t.Fatal(err)
		}
	}
	if replica.callCount() == 0 || other.callCount() == 0 {
		t.Fatal("calls do not go to all in turn")
	}
	way.refuse(true)
	for range 20 {
		if _, err := validate(client, knownText); err != nil {
			t.Fatal(err)
		}
	}
	way.refuse(false)
	before := other.callCount()
	eventually(t, "calls to the one that is back", func() bool {
		_, err := validate(client, knownText)
		return err == nil && other.callCount() > before
	})
}

func TestLeavesConnectionsThatFallSilent(t *testing.T) {
	soon := Keepalive{Time: 200 * time.Millisecond, Timeout: 200 * time.Millisecond}
	for name, keepalive := range map[string]Keepalive{"as usual": {}, "soon": soon} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replica := startFake(t)
			way := startProxy(t, replica.address)
			client := openClient(t, Options{Keepalive: keepalive, Timeout: 8 * time.Second}, way.address)
			if _, err := validate(client, knownText); err != nil {
				t.Fatal(err)
			}
			way.silence(true)
			time.AfterFunc(100*time.Millisecond, func() { way.silence(false) })
			began := time.Now()
			if _, err := validate(client, knownText); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 6*time.Second || (name == "soon" && took > 2*time.Second) {
				t.Fatalf("it took %v", took)
			}
		})
	}
}

func TestLeavesNoConnectionThatIsSlow(t *testing.T) {
	replica := startFake(t)
	replica.hangs = true
	way := startProxy(t, replica.address)
	keepalive := Keepalive{Time: 50 * time.Millisecond, Timeout: 100 * time.Millisecond}
	client := openClient(t, Options{Keepalive: keepalive, Timeout: 800 * time.Millisecond}, way.address)
	var failure *Error
	if _, err := validate(client, knownText); !errors.As(err, &failure) || failure.Code != codes.DeadlineExceeded {
		t.Fatalf("got %v", err)
	}
	if accepted := way.acceptedCount(); accepted != 1 {
		t.Fatalf("%d connections were made", accepted)
	}
}
