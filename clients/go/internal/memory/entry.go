package memory

import (
	"container/list"
	"sync/atomic"
	"time"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// Key is a salted hash of a text. Nobody else can make it from the text.
type Key [32]byte

// Entry is what a client holds of one text. What may change of it while verdicts are given is atomic.
type Entry struct {
	// Key is that of the text.
	Key    Key
	handle uint64
	keyID  string
	// refused is why the text does not pass whatever it is for; empty if it does.
	refused   Reason
	name      string
	scopes    []string
	expiresAt time.Time
	stale     bool
	// owner is whose the token is; shared by all entries of the owner.
	owner *Principal
	// stream is the one on which it was learned: it answers under the lease of that stream, or of one opened since.
	stream  int
	expires Moment
	// place is where it stands among the entries; nil once it is forgotten, for those who remember it.
	place *list.Element

	// isOver is true once its time was over by one of the clocks, whatever that clock says later.
	isOver atomic.Bool
	// wasUsed is whether it answered since the oldest entry was last looked for.
	wasUsed atomic.Bool
	// uses are how often it let pass since the last report; lastUsed is when the last time was, by the monotonic clock.
	uses     atomic.Uint32
	lastUsed atomic.Int64
}

func newEntry(key Key, fact *tokenv1.HoldFact, owner *Principal, stream int, expires Moment) *Entry {
	entry := &Entry{
		Key:     key,
		handle:  fact.GetHandle(),
		keyID:   fact.GetKeyId(),
		refused: inactivity(fact),
		name:    fact.GetName(),
		scopes:  fact.GetScopes(),
		stale:   fact.GetStale(),
		owner:   owner,
		stream:  stream,
		expires: expires,
	}
	if fact.GetExpiresAt() != nil {
		entry.expiresAt = fact.GetExpiresAt().AsTime()
	}
	return entry
}

// IsHeld tells whether it has not been forgotten; nil is not held.
func (e *Entry) IsHeld() bool {
	return e != nil && e.place != nil
}

// judge gives the verdict on a text whose time is not over.
func (e *Entry) judge(scopes []string) Verdict {
	if e.refused != "" {
		return Verdict{Reason: e.refused, KeyID: e.keyID, Stale: e.stale}
	}
	if !coverAll(e.scopes, scopes) {
		return Verdict{Reason: InsufficientScope, KeyID: e.keyID, Stale: e.stale}
	}
	return Verdict{
		Valid:     true,
		Reason:    OK,
		KeyID:     e.keyID,
		Principal: *e.owner,
		Name:      e.name,
		Scopes:    e.scopes,
		ExpiresAt: e.expiresAt,
		Stale:     e.stale,
	}
}
