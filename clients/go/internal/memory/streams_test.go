package memory

import (
	"testing"

	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

func TestAnotherStreamIsToldWhatIsHeld(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	d.learn("b")
	d.learn("c", func(f *tokenv1.HoldFact) { f.Principal = otherOwner() })
	d.renew(d.stream, 7, leaseSpan)
	d.StreamEnded(d.stream)
	_, open := d.OpenStream()
	d.wantMessage(open, &tokenv1.HoldOpen{
		Position: &tokenv1.HoldPosition{Epoch: epoch, Revision: 7},
		Tokens: []*tokenv1.HoldOwned{
			{UserProfileId: 8, UserId: 7, AccountId: 9, Handles: []uint64{handleOf("a"), handleOf("b")}},
			{UserProfileId: 18, UserId: 17, AccountId: 19, Handles: []uint64{handleOf("c")}},
		},
	})
}

func TestGoesOnFromTheLastInvalidation(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	position := &tokenv1.HoldPosition{Epoch: epoch, Revision: 9}
	d.invalidate(&tokenv1.HoldInvalidation{Handles: []uint64{handleOf("b")}, Position: position})
	_, open := d.OpenStream()
	d.wantMessage(open.GetPosition(), position)
}

func TestNamesNothingWhereNothingWasGranted(t *testing.T) {
	d := start(t, 3, 0)
	first := d.open(true)
	d.learn("a")
	d.StreamEnded(first)
	_, open := d.OpenStream()
	d.wantMessage(open, &tokenv1.HoldOpen{})
	d.want(d.Len(), 0)
}

func TestAnotherStreamLeavesTheLeaseBeforeToItsEnd(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	d.StreamEnded(d.stream)
	next := d.open(true)
	d.want(d.reasonOf("a"), OK)
	d.learn("b")
	// The replica that granted the lease knows nothing of it.
	d.want(d.reasonOf("b"), Reason(""))
	d.renew(next, 1, leaseSpan)
	d.want(d.reasonOf("a"), OK)
	d.want(d.reasonOf("b"), OK)
}

func TestKeepsNothingOfAStreamThatGrantedNothing(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	d.StreamEnded(d.stream)
	second := d.open(true)
	d.learn("b")
	d.StreamEnded(second)
	_, open := d.OpenStream()
	d.want(len(open.GetTokens()), 1)
	d.wantMessage(open.GetTokens()[0], &tokenv1.HoldOwned{
		UserProfileId: 8, UserId: 7, AccountId: 9, Handles: []uint64{handleOf("a")},
	})
}

func TestTakesAndDoesNotKeepWhatComesOnTheStreamBefore(t *testing.T) {
	d := startLeased(t)
	asked, before := d.ask("a", d.stream), d.stream
	next := d.open(true)
	d.tell(before, fact(asked.id, "a"))
	d.want(d.reasonIn(asked), OK)
	d.renew(next, 1, leaseSpan)
	d.want(d.reasonOf("a"), Reason(""))
}

func TestGrantsOfTheStreamBeforeCountForNothing(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	before := d.stream
	d.renew(d.open(true), 1, leaseSpan)
	d.pass(leaseSpan - 1)
	d.want(d.renew(before, 1, leaseSpan), false)
	d.pass(1)
	d.want(d.reasonOf("a"), Reason(""))
}

func TestForgetsEverythingWhereItIsNotResumed(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	d.StreamEnded(d.stream)
	d.renew(d.open(false), 1, leaseSpan)
	d.want(d.reasonOf("a"), Reason(""))
	d.want(d.Len(), 0)
}

func TestLeavesThoseWhoAskWithoutAnAnswerWhenTheStreamEnds(t *testing.T) {
	d := startLeased(t)
	asked := d.ask("a", d.stream)
	d.StreamEnded(d.stream)
	d.want(len(asked.answers), 1)
	d.want(asked.answers[0], Answer{})
	d.want(d.Renewal(d.stream, d.clocks) == nil, true)
}

func (d *driven) access(key, text string, keep bool) Accessed {
	var got Accessed
	id := d.Secrets.Access(d.stream, key, nil, d.clocks, func(accessed Accessed) { got = accessed }).GetId()
	payload := &secretv1.SecretPayload{Value: &secretv1.SecretPayload_Text{Text: text}}
	access := &secretv1.AccessSecretResponse{SecretId: int64(handleOf(key)), Version: 1, Payload: payload}
	d.Secrets.Accessed(d.stream, &tokenv1.HoldAccessed{
		Id: id, Keep: keep, Result: &tokenv1.HoldAccessed_Access{Access: access},
	}, d.clocks)
	return got
}

func (d *driven) textOf(key string) string {
	if value := d.Secrets.Get(key, d.clocks); value != nil {
		return string(value.Bytes)
	}
	return "none"
}

func TestHoldsValuesUnderTheLeaseAndOverwritesThem(t *testing.T) {
	d := startLeased(t)
	given := d.access("a", "first", true)
	held := d.Secrets.held["a"].value.Bytes
	d.want(d.textOf("a"), "first")
	forgotten := d.invalidate(&tokenv1.HoldInvalidation{SecretIds: []int64{int64(handleOf("a"))}})
	d.want(len(forgotten.Secrets), 1)
	d.want(d.textOf("a"), "none")
	d.want(string(held), "\x00\x00\x00\x00\x00")
	d.want(string(given.Value.Bytes), "first")
	d.access("a", "second", true)
	d.pass(leaseSpan)
	d.want(d.textOf("a"), "none")
}

func TestBoundsCountsAndNamesValues(t *testing.T) {
	d := startLeased(t)
	for _, key := range []string{"a", "b", "c"} {
		d.access(key, key, true)
	}
	d.want(d.textOf("a")+d.textOf("b")+d.textOf("c"), "nonebc")
	uses := d.Renewal(d.stream, d.clocks).GetSecretUses()
	d.want(len(uses), 2)
	d.want(uses[0].GetSecretId() == int64(handleOf("b")) && uses[0].GetCount() == 1, true)
	_, open := d.OpenStream()
	d.wantMessage(&tokenv1.HoldOpen{SecretIds: open.GetSecretIds()}, &tokenv1.HoldOpen{SecretIds: []int64{'b', 'c'}})
}

func TestHoldsNoValuesThatMayNotBeHeld(t *testing.T) {
	d := startLeased(t)
	d.access("a", "x", false)
	d.want(d.textOf("a"), "none")
	d = start(t, 3, 0)
	d.renew(d.open(true), 1, leaseSpan)
	d.access("a", "x", true)
	d.want(d.textOf("a"), "none")
}
