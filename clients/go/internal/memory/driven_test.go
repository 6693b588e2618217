package memory

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

const (
	leaseSpan = 3 * time.Second
	epoch     = "8f14e45f-ceea-467f-a0e6-10f3f7a5a6a1"
)

func owner() *tokenv1.Principal {
	return &tokenv1.Principal{UserId: 7, UserProfileId: 8, AccountId: 9, Username: "someone", AccountNumber: "1"}
}

func otherOwner() *tokenv1.Principal {
	return &tokenv1.Principal{UserId: 17, UserProfileId: 18, AccountId: 19, Username: "someone", AccountNumber: "1"}
}

// driven is a memory that a test drives, with its clocks and the stream that it is at.
type driven struct {
	*Memory
	t      *testing.T
	clocks Moment
	stream int
}

func start(t *testing.T, maxEntries, maxSecrets int) *driven {
	d := &driven{Memory: New(), t: t, clocks: Moment{Monotonic: time.Second, Wall: 1_700_000_000 * time.Second}}
	d.SetMaxEntries(maxEntries)
	d.Secrets.SetMax(maxSecrets)
	return d
}

// startLeased starts with a small memory that holds a lease.
func startLeased(t *testing.T) *driven {
	d := start(t, 3, 2)
	d.open(true)
	d.renew(d.stream, 1, leaseSpan)
	return d
}

func (d *driven) pass(span time.Duration) {
	d.clocks.Monotonic += span
	d.clocks.Wall += span
}

func (d *driven) open(resumed bool) int {
	d.stream, _ = d.OpenStream()
	d.Opened(&tokenv1.HoldOpened{Resumed: resumed, MaxEntries: 10_000, MaxSecrets: 10})
	return d.stream
}

// renew asks for a lease, and grants it; no lease if the span is 0.
func (d *driven) renew(stream int, revision int64, span time.Duration) bool {
	renewal := d.Renewal(stream, d.clocks)
	return d.grant(stream, renewal.GetNumber(), revision, span)
}

func (d *driven) grant(stream int, number uint64, revision int64, span time.Duration) bool {
	grant := &tokenv1.HoldGrant{Number: number, Position: &tokenv1.HoldPosition{Epoch: epoch, Revision: revision}}
	if span > 0 {
		grant.Lease = durationpb.New(span)
	}
	return d.Grant(stream, grant)
}

func keyNamed(name string) Key {
	var key Key
	copy(key[:], name)
	return key
}

func handleOf(name string) uint64 { return uint64(name[0]) }

func fact(id uint64, name string) *tokenv1.HoldFact {
	return &tokenv1.HoldFact{
		Id: id, Keep: true, Known: true, Handle: handleOf(name), KeyId: "id of " + name, Name: name, Principal: owner(),
		Scopes: []string{"orders:*"}, IsActive: true, UserIsActive: true, AccountIsActive: true,
	}
}

// asked is a look-up of a test: its number, 0 if nothing was to be sent, and the answers that came.
type lookedUp struct {
	id      uint64
	answers []Answer
}

func (d *driven) ask(name string, stream int) *lookedUp {
	asked := &lookedUp{}
	settle := func(answer Answer) { asked.answers = append(asked.answers, answer) }
	asked.id = d.LookUp(stream, keyNamed(name), noDigest, d.clocks, settle).GetId()
	return asked
}

// tell gives the numbers of what is looked up once more.
func (d *driven) tell(stream int, facts ...*tokenv1.HoldFact) []uint64 {
	var again []uint64
	for _, text := range d.Facts(stream, &tokenv1.HoldFacts{Facts: facts}, d.clocks) {
		again = append(again, text.GetId())
	}
	return again
}

// learn looks a text up, and is told of it at once.
func (d *driven) learn(name string, changes ...func(*tokenv1.HoldFact)) *lookedUp {
	asked := d.ask(name, d.stream)
	told := fact(asked.id, name)
	for _, change := range changes {
		change(told)
	}
	d.tell(d.stream, told)
	return asked
}

// reasonIn is that of the verdict that the only answer gives.
func (d *driven) reasonIn(asked *lookedUp, scopes ...string) Reason {
	d.t.Helper()
	if len(asked.answers) != 1 {
		d.t.Fatalf("%d answers came", len(asked.answers))
	}
	verdict, ok := d.JudgeAnswer(asked.answers[0], scopes, d.clocks)
	if !ok {
		d.t.Fatal("the answer is no verdict")
	}
	return verdict.Reason
}

// reasonOf is that of the verdict from memory; empty if memory may not tell.
func (d *driven) reasonOf(name string, scopes ...string) Reason {
	verdict, _ := d.Judge(keyNamed(name), scopes, d.clocks)
	return verdict.Reason
}

func (d *driven) invalidate(invalidation *tokenv1.HoldInvalidation) Forgotten {
	invalidation.Number = 5
	return d.Invalidate(d.stream, invalidation)
}

func (d *driven) want(got, want any) {
	d.t.Helper()
	if got != want {
		d.t.Fatalf("got %v, want %v", got, want)
	}
}

func (d *driven) wantMessage(got, want proto.Message) {
	d.t.Helper()
	if !proto.Equal(got, want) {
		d.t.Fatalf("got %v, want %v", got, want)
	}
}

func (d *driven) wantReleased(want ...uint64) {
	d.t.Helper()
	renewal := d.Renewal(d.stream, d.clocks)
	d.wantMessage(&tokenv1.HoldRenewal{Released: renewal.GetReleased()}, &tokenv1.HoldRenewal{Released: want})
}
