package keyward

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

func openReader(t *testing.T, options SecretReaderOptions, server string) *SecretReader {
	t.Helper()
	reader, err := NewSecretReader(openClient(t, Options{}, server), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return reader
}

func leasedReader(t *testing.T, replica *fakeReplica) *SecretReader {
	t.Helper()
	reader := openReader(t, SecretReaderOptions{Keep: true}, replica.address)
	eventually(t, "renewals", func() bool { return len(replica.renewals()) > 1 })
	return reader
}

func mustGet(t *testing.T, reader *SecretReader) Secret {
	t.Helper()
	secret, err := reader.Get(t.Context(), OwnSecret("db-password"))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func (r *fakeReplica) change(version int32, text string) {
	r.set(func() { r.version, r.secret = version, text })
	r.invalidate(&tokenv1.HoldInvalidation{Number: uint64(version), SecretIds: []int64{secretID}})
}

func TestReaderKeepsNothingUnlessItIsAskedTo(t *testing.T) {
	replica := startFake(t)
	reader := openReader(t, SecretReaderOptions{}, replica.address)
	for count := 1; count <= 2; count++ {
		if secret := mustGet(t, reader); secret.Text() != "first" || secret.ID != secretID || replica.callCount() != count {
			t.Fatalf("got %v after %d calls", secret, replica.callCount())
		}
	}
	if replica.stream() != nil {
		t.Fatal("a stream was opened")
	}
	if _, err := reader.OnChange(OwnSecret("x"), nil); err == nil {
		t.Fatal("it tells of changes")
	}
}

func TestReaderAsksOnceForWhatItMayKeep(t *testing.T) {
	replica := startFake(t)
	reader := leasedReader(t, replica)
	for range 3 {
		if mustGet(t, reader).Text() != "first" {
			t.Fatal("it is another value")
		}
	}
	accesses := replica.accesses()
	if len(accesses) != 1 || accesses[0].GetRequest().GetSecret().GetOwnedName().GetName() != "db-password" {
		t.Fatalf("got %v", accesses)
	}
	eventually(t, "two uses", func() bool {
		sum := uint32(0)
		for _, renewal := range replica.renewals() {
			for _, use := range renewal.GetSecretUses() {
				sum += use.GetCount()
			}
		}
		return sum == 2
	})
}

func TestReaderGivesTheNewValueOnceItHasAcknowledged(t *testing.T) {
	replica := startFake(t)
	reader := leasedReader(t, replica)
	before := mustGet(t, reader)
	replica.change(2, "second")
	eventually(t, "an acknowledgement", func() bool { return len(replica.acknowledgements()) > 0 })
	if got := mustGet(t, reader); got.Text() != "second" || got.Version != 2 || before.Text() != "first" {
		t.Fatalf("got %v", got)
	}
}

func TestReaderFailsAsTheServiceDoes(t *testing.T) {
	replica := startFake(t)
	replica.secret = ""
	for _, reader := range []*SecretReader{leasedReader(t, replica), openReader(t, SecretReaderOptions{}, replica.address)} {
		_, err := reader.Get(t.Context(), OwnSecret("none"))
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != codes.NotFound {
			t.Fatalf("got %v", err)
		}
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	secret := Secret{ID: 1, Version: 2, value: []byte("hidden")}
	encoded, _ := json.Marshal(secret)
	for _, printed := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%+v", secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%v", &secret), string(encoded),
		fmt.Sprintf("%v", struct{ Password Secret }{secret}),
	} {
		if strings.Contains(printed, "hidden") || strings.Contains(printed, "104 105") {
			t.Error(printed)
		}
	}
}

// heard are what somebody was told.
type heard struct {
	mu   sync.Mutex
	told []string
}

func (h *heard) hear(secret Secret, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failure *Error
	if errors.As(err, &failure) {
		h.told = append(h.told, failure.Code.String())
	} else {
		h.told = append(h.told, secret.Text())
	}
}

func (h *heard) wait(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, strings.Join(want, ", "), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return strings.Join(h.told, " ") == strings.Join(want, " ")
	})
}

func TestOnChangeIsToldEachNewValueOnce(t *testing.T) {
	replica := startFake(t)
	reader := leasedReader(t, replica)
	var told heard
	stop, err := reader.OnChange(OwnSecret("db-password"), told.hear)
	if err != nil {
		t.Fatal(err)
	}
	told.wait(t, "first")
	replica.change(2, "second")
	told.wait(t, "first", "second")
	// Something else of the secret was changed.
	replica.change(2, "second")
	eventually(t, "another access", func() bool { return len(replica.accesses()) == 3 })
	replica.change(2, "")
	told.wait(t, "first", "second", "NotFound")
	replica.set(func() { replica.version, replica.secret = 3, "third" })
	told.wait(t, "first", "second", "NotFound", "third")
	stop()
	acknowledged := len(replica.acknowledgements())
	replica.change(4, "fourth")
	eventually(t, "an acknowledgement", func() bool { return len(replica.acknowledgements()) > acknowledged })
	told.wait(t, "first", "second", "NotFound", "third")
}

func TestOnChangeMissesNothingBeforeThereIsALease(t *testing.T) {
	replica := startFake(t)
	replica.lease = 0
	reader := openReader(t, SecretReaderOptions{Keep: true}, replica.address)
	var told heard
	if _, err := reader.OnChange(OwnSecret("db-password"), told.hear); err != nil {
		t.Fatal(err)
	}
	told.wait(t, "first")
	replica.set(func() { replica.version, replica.secret, replica.lease = 2, "second", 3*time.Second })
	told.wait(t, "first", "second")
}

func TestOnChangeEndsWithTheClient(t *testing.T) {
	replica := startFake(t)
	reader := leasedReader(t, replica)
	var told heard
	if _, err := reader.OnChange(OwnSecret("db-password"), told.hear); err != nil {
		t.Fatal(err)
	}
	told.wait(t, "first")
	if err := reader.client.Close(); err != nil {
		t.Fatal(err)
	}
	reader.goroutines.Wait()
}

func TestValidatorAndReaderShareOneStream(t *testing.T) {
	replica := startFake(t)
	client := openClient(t, Options{}, replica.address)
	validator, err := NewValidator(client, ValidatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := NewSecretReader(client, SecretReaderOptions{Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a lease", validator.IsLeased)
	mustValidate(t, validator, knownText)
	mustGet(t, reader)
	validator.Close()
	if validator.Len() != 0 || mustGet(t, reader).Text() != "first" || len(replica.accesses()) != 1 {
		t.Fatal("the reader has lost its value")
	}
	eventually(t, "the release", func() bool {
		for _, renewal := range replica.renewals() {
			if len(renewal.GetReleased()) == 1 {
				return true
			}
		}
		return false
	})
	reader.Close()
	eventually(t, "the end", func() bool { return len(all(replica, (*tokenv1.HoldVerdictsRequest).GetLeft)) == 1 })
	if len(replica.opens()) != 1 {
		t.Fatalf("%d streams were opened", len(replica.opens()))
	}
}
