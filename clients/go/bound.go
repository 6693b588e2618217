package keyward

import (
	"context"
	"sync/atomic"

	"keyward.dev/keyward/internal/clocks"
	"keyward.dev/keyward/internal/memory"
)

// BoundText is a text that a connection presents again and again.
type BoundText struct {
	validator  *Validator
	text       string
	key        memory.Key
	canBeToken bool
	entry      atomic.Pointer[memory.Entry]
}

// Validate is as that of the validator.
func (b *BoundText) Validate(ctx context.Context, scopes ...string) (Verdict, error) {
	if err := checkScopes(scopes); err != nil {
		return Verdict{}, err
	}
	if verdict, ok := b.ValidateCached(scopes...); ok {
		return verdict, nil
	}
	return b.validator.ask(ctx, b.text, b.key, scopes)
}

// ValidateCached is as that of the validator.
func (b *BoundText) ValidateCached(scopes ...string) (Verdict, bool) {
	if !areScopes(scopes) {
		return Verdict{}, false
	}
	if !b.canBeToken {
		return Verdict{Reason: ReasonUnknown}, true
	}
	v := b.validator
	held := v.holding
	held.mu.RLock()
	defer held.mu.RUnlock()
	entry := b.entry.Load()
	if !entry.IsHeld() {
		entry = held.memory.EntryOf(b.key)
		b.entry.Store(entry)
	}
	verdict, ok := held.memory.JudgeEntry(entry, scopes, clocks.Now())
	if ok {
		v.fromMemory.Add(1)
	}
	return verdict, ok
}

// Release forgets that the text was bound: OnRevoked is not told of it any more.
func (b *BoundText) Release() {
	b.validator.unbind(b)
}
