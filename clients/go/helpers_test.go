package keyward

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// eventually polls, with a limit.
func eventually(t testing.TB, what string, isSo func() bool) {
	t.Helper()
	eventuallyWithin(t, 10*time.Second, what, isSo)
}

func eventuallyWithin(t testing.TB, limit time.Duration, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !isSo(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", limit, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func openClient(t testing.TB, options Options, servers ...string) *Client {
	t.Helper()
	options.Servers = servers
	if options.Timeout == 0 {
		options.Timeout = 2 * time.Second
	}
	client, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func openValidator(t *testing.T, options ValidatorOptions, servers ...string) *Validator {
	t.Helper()
	validator, err := NewValidator(openClient(t, Options{Token: "own"}, servers...), options)
	if err != nil {
		t.Fatal(err)
	}
	return validator
}

func leasedValidator(t *testing.T, options ValidatorOptions, servers ...string) *Validator {
	t.Helper()
	validator := openValidator(t, options, servers...)
	eventually(t, "a lease", validator.IsLeased)
	return validator
}

func mustValidate(t *testing.T, v interface {
	Validate(context.Context, string, ...string) (Verdict, error)
}, text string, scopes ...string) Verdict {
	t.Helper()
	verdict, err := v.Validate(t.Context(), text, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}
