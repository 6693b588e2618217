package keyward

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

func forgetKnownText(number uint64) *tokenv1.HoldInvalidation {
	return &tokenv1.HoldInvalidation{Number: number, Handles: []uint64{handleOf(knownText)}}
}

func leave() *tokenv1.HoldVerdictsResponse {
	return &tokenv1.HoldVerdictsResponse{Message: &tokenv1.HoldVerdictsResponse_Leave{Leave: &tokenv1.HoldLeave{}}}
}

func TestAsksOnceAndThenAnswersFromMemory(t *testing.T) {
	replica := startFake(t)
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	asked := mustValidate(t, validator, knownText, "orders:read")
	if !asked.Valid || asked.Principal.Username != "someone" || asked.KeyID != "key" {
		t.Fatalf("got %+v", asked)
	}
	held, ok := validator.ValidateCached(knownText, "orders:read")
	if !ok || !reflect.DeepEqual(held, asked) {
		t.Fatalf("memory says %+v", held)
	}
	if verdict := mustValidate(t, validator, knownText, "users:read"); verdict.Reason != ReasonInsufficientScope {
		t.Fatalf("got %+v", verdict)
	}
	if counts := validator.Counts(); counts != (ValidatorCounts{Memory: 2, LookUps: 1}) {
		t.Fatalf("got %+v", counts)
	}
	for _, stream := range replica.streams {
		for _, message := range stream.received {
			if strings.Contains(protojson.Format(message), knownText) {
				t.Fatal("the text was sent")
			}
		}
	}
}

func TestSaysWhoItIs(t *testing.T) {
	replica := startFake(t)
	client := openClient(t, Options{Label: "checkout/web"}, replica.address)
	if _, err := NewValidator(client, ValidatorOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "open", func() bool { return len(replica.opens()) > 0 })
	open := replica.opens()[0]
	if open.GetLabel() != "checkout/web" || !strings.HasPrefix(open.GetAgent(), "keyward-go/") {
		t.Fatalf("got %v", open)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(open.GetClientId()) {
		t.Fatalf("%s is no UUID", open.GetClientId())
	}
	if _, err := NewValidator(client, ValidatorOptions{}); err == nil {
		t.Fatal("a second validator was made")
	}
	if _, err := NewValidator(client, ValidatorOptions{MaxEntries: 10_001}); err == nil {
		t.Fatal("a limit out of range was taken")
	}
}

func TestHasForgottenBeforeItAcknowledges(t *testing.T) {
	replica := startFake(t)
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	mustValidate(t, validator, knownText)
	replica.set(func() { replica.inactive[knownText] = true })
	replica.invalidate(forgetKnownText(4))
	eventually(t, "an acknowledgement", func() bool {
		if len(replica.acknowledgements()) == 0 {
			return false
		}
		if _, ok := validator.ValidateCached(knownText); ok {
			t.Fatal("memory answers after the acknowledgement")
		}
		return true
	})
	if verdict := mustValidate(t, validator, knownText); verdict.Reason != ReasonInactive {
		t.Fatalf("got %+v", verdict)
	}
}

func TestIsNotContradictedByAnyGoroutine(t *testing.T) {
	replica := startFake(t)
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	mustValidate(t, validator, knownText)
	bound := validator.Bind(knownText)
	acknowledged := make(chan struct{})
	var asking sync.WaitGroup
	wrong := make(chan string, 100)
	for number := range 16 {
		asking.Go(func() {
			for range 20_000 {
				isOver := false
				select {
				case <-acknowledged:
					isOver = true
				default:
				}
				verdict, ok := validator.ValidateCached(knownText)
				if number%2 == 0 {
					verdict, ok = bound.ValidateCached()
				}
				if isOver && ok && verdict.Valid {
					wrong <- fmt.Sprintf("goroutine %d: %v", number, verdict)
					return
				}
			}
		})
	}
	replica.set(func() { replica.inactive[knownText] = true })
	replica.invalidate(forgetKnownText(1))
	eventually(t, "an acknowledgement", func() bool { return len(replica.acknowledgements()) > 0 })
	close(acknowledged)
	asking.Wait()
	close(wrong)
	for each := range wrong {
		t.Error(each)
	}
}

func TestWithoutALeaseAsksByCallsAndKeepsNothing(t *testing.T) {
	replica := startFake(t)
	replica.lease = 0
	validator := openValidator(t, ValidatorOptions{}, replica.address)
	eventually(t, "a renewal", func() bool { return len(replica.renewals()) > 0 })
	for count := 1; count <= 2; count++ {
		if !mustValidate(t, validator, knownText).Valid || replica.callCount() != count {
			t.Fatalf("%d calls", replica.callCount())
		}
	}
	if validator.Len() != 0 || validator.Counts().Calls != 2 {
		t.Fatal("something is held")
	}
}

func TestDoesNotAnswerFromMemoryWhenTheLeaseIsOver(t *testing.T) {
	replica := startFake(t)
	replica.lease = 200 * time.Millisecond
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	mustValidate(t, validator, knownText)
	replica.set(func() { replica.lease = 0 })
	eventually(t, "the end of the lease", func() bool { return !validator.IsLeased() })
	if _, ok := validator.ValidateCached(knownText); ok {
		t.Fatal("memory answers")
	}
	replica.set(func() { replica.lease = 3 * time.Second })
	eventually(t, "another lease", func() bool { _, ok := validator.ValidateCached(knownText); return ok })
}

func TestGivesNoVerdictWhereNobodyCanTell(t *testing.T) {
	replica := startFake(t)
	for _, code := range []codes.Code{codes.Unauthenticated, codes.Unavailable, codes.PermissionDenied} {
		replica.set(func() { replica.failure = code })
		validator := openValidator(t, ValidatorOptions{}, replica.address)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		verdict, err := validator.Validate(ctx, knownText)
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != code || status.Code(err) != code || verdict.Valid {
			t.Fatalf("%v: %v, %+v", code, err, verdict)
		}
	}
	if replica.stream() != nil {
		t.Fatal("a stream was opened")
	}
}

func TestKnowsWhatIsNoTokenAndRefusesWhatAreNoScopes(t *testing.T) {
	replica := startFake(t)
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	for _, text := range []string{strings.Repeat("x", 1_025), strings.Repeat("ä", 513), "half \xed\xa0\x80"} {
		if verdict := mustValidate(t, validator, text); verdict.Reason != ReasonUnknown {
			t.Fatalf("got %+v", verdict)
		}
		if verdict, ok := validator.Bind(text).ValidateCached(); !ok || verdict.Reason != ReasonUnknown {
			t.Fatalf("got %+v", verdict)
		}
	}
	_, err := validator.Validate(t.Context(), knownText, "a", "B")
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != "INVALID_FIELDS" || failure.Violations[0].Field != "scopes[1]" {
		t.Fatalf("got %v", err)
	}
	if _, ok := validator.ValidateCached(knownText, "B"); ok {
		t.Fatal("memory answers")
	}
	if counts := validator.Counts(); counts != (ValidatorCounts{}) {
		t.Fatalf("got %+v", counts)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	replica := startFake(t)
	replica.lease = 0
	replica.hangs = true
	validator := openValidator(t, ValidatorOptions{}, replica.address)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := validator.Validate(ctx, knownText)
	if !errors.Is(err, context.Canceled) || status.Code(err) != codes.Canceled {
		t.Fatalf("got %v", err)
	}
	short, cancelShort := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelShort()
	if _, err := validator.Validate(short, knownText); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestTellsHowOftenKeysPassed(t *testing.T) {
	replica := startFake(t)
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	for range 3 {
		mustValidate(t, validator, knownText)
	}
	eventually(t, "three uses", func() bool {
		sum := uint32(0)
		for _, renewal := range replica.renewals() {
			for _, use := range renewal.GetUses() {
				sum += use.GetCount()
			}
		}
		return sum == 3
	})
}

func TestSaysThatItHasLeftWhenItIsClosed(t *testing.T) {
	replica := startFake(t)
	validator := leasedValidator(t, ValidatorOptions{}, replica.address)
	mustValidate(t, validator, knownText)
	validator.Close()
	validator.Close()
	if _, ok := validator.ValidateCached(knownText); ok {
		t.Fatal("memory answers")
	}
	if left := all(replica, (*tokenv1.HoldVerdictsRequest).GetLeft); len(left) != 1 {
		t.Fatalf("left %d times", len(left))
	}
}

func TestTellsOfBoundTextsThatDoNotPassAnyMore(t *testing.T) {
	replica := startFake(t)
	type revoked struct {
		bound  *BoundText
		reason Reason
	}
	told := make(chan revoked, 10)
	validator := leasedValidator(t, ValidatorOptions{
		OnRevoked: func(bound *BoundText, verdict Verdict) { told <- revoked{bound, verdict.Reason} },
	}, replica.address)
	watched, released := validator.Bind(knownText), validator.Bind(knownText)
	if verdict, err := watched.Validate(t.Context(), "orders:read"); err != nil || !verdict.Valid {
		t.Fatal(verdict, err)
	}
	replica.invalidate(forgetKnownText(1))
	eventually(t, "the text again", func() bool { _, ok := watched.ValidateCached(); return ok })
	released.Release()
	replica.set(func() { replica.inactive[knownText] = true })
	replica.invalidate(forgetKnownText(2))
	select {
	case got := <-told:
		if got != (revoked{watched, ReasonInactive}) {
			t.Fatalf("told of %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told")
	}
	if len(told) > 0 {
		t.Fatal("something else was told")
	}
}

// onTwo opens a validator at one of two replicas, and gives that one and the other.
func onTwo(t *testing.T) (validator *Validator, at, other *fakeReplica) {
	t.Helper()
	at, other = startFake(t), startFake(t)
	validator = leasedValidator(t, ValidatorOptions{}, at.address, other.address)
	mustValidate(t, validator, knownText)
	if at.stream() == nil {
		at, other = other, at
	}
	return validator, at, other
}

func TestGoesToAnotherReplicaWithWhatItHolds(t *testing.T) {
	validator, at, other := onTwo(t)
	at.stream().end <- status.Error(codes.Unavailable, "ended by the test")
	eventually(t, "a stream to the other", func() bool {
		if verdict, ok := validator.ValidateCached(knownText); !ok || !verdict.Valid {
			t.Fatal("memory does not answer")
		}
		return len(other.renewals()) > 1
	})
	open := other.opens()[0]
	if open.GetClientId() != at.opens()[0].GetClientId() || open.GetPosition().GetRevision() != 1 ||
		len(open.GetTokens()) != 1 || open.GetTokens()[0].GetHandles()[0] != handleOf(knownText) {
		t.Fatalf("got %v", open)
	}
	if counts := validator.Counts(); counts.LookUps != 1 || counts.Calls != 0 {
		t.Fatalf("got %+v", counts)
	}
}

func TestLeavesOnlyWhenAnotherReplicaHasGranted(t *testing.T) {
	_, at, other := onTwo(t)
	at.set(func() { at.staysWhenLeft = true })
	other.set(func() { other.lease = 0 })
	at.stream().send(leave())
	eventually(t, "renewals at the other", func() bool { return len(other.renewals()) > 1 })
	hasLeft := func() bool { return len(all(at, (*tokenv1.HoldVerdictsRequest).GetLeft)) > 0 }
	if hasLeft() {
		t.Fatal("it has left")
	}
	other.set(func() { other.lease = 3 * time.Second })
	eventually(t, "that it leaves", hasLeft)
	at.invalidate(forgetKnownText(1))
	renewals := len(other.renewals())
	eventually(t, "more renewals", func() bool { return len(other.renewals()) > renewals+2 })
	if len(at.acknowledgements()) > 0 {
		t.Fatal("it said something after it has left")
	}
}

func TestFindsEverythingForgottenWhereItIsNotResumed(t *testing.T) {
	validator, at, other := onTwo(t)
	other.set(func() { other.isNotResuming = true })
	at.stream().end <- status.Error(codes.Unavailable, "ended by the test")
	eventually(t, "renewals at the other", func() bool { return len(other.renewals()) > 0 })
	if _, ok := validator.ValidateCached(knownText); ok {
		t.Fatal("memory answers")
	}
	if !mustValidate(t, validator, knownText).Valid {
		t.Fatal("it does not pass")
	}
}
