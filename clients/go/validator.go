package keyward

import (
	"context"
	"crypto/sha512"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
	"keyward.dev/keyward/internal/clocks"
	"keyward.dev/keyward/internal/memory"
)

const (
	// lookUpLimit is how long the answer to a look-up may take before the question is asked by a call of its own.
	lookUpLimit = 2 * time.Second
	// maxLookUps: more at a time are made by calls of their own.
	maxLookUps = 2_000
	// maxJudgedAgain is how many bound texts are judged at the same time when they were forgotten.
	maxJudgedAgain = 100
)

// ValidatorOptions are those of a validator. All of them may be left out.
type ValidatorOptions struct {
	// MaxEntries is how many tokens to hold at most: 1 to 10000, 10000 if zero. The service may set a lower limit.
	MaxEntries int
	// OnRevoked is told of each bound text that does not pass any more, as soon as that is known, and once: to end the
	// connection that it was bound for. Scopes are not looked at. It is called by goroutines of the validator.
	OnRevoked func(*BoundText, Verdict)
}

// ValidatorCounts are how often verdicts were given, by where they came from.
type ValidatorCounts struct {
	Memory int64
	// LookUps are those by the stream that the memory is kept right by.
	LookUps int64
	// Calls are those by a call of its own: there was no lease.
	Calls int64
}

// Validator judges texts in this process. No verdict contradicts a change that was complete before it was asked for. It may
// be used by many goroutines at the same time.
type Validator struct {
	client    *Client
	holding   *holding
	keys      textKeys
	onRevoked func(*BoundText, Verdict)

	fromMemory, byLookUp, byCall atomic.Int64

	ctx  context.Context
	stop context.CancelFunc
	// judging is how many bound texts are judged again at the same time.
	judging chan struct{}

	mu    sync.Mutex
	bound map[memory.Key]map[*BoundText]bool
}

// NewValidator makes a validator, which holds what it was asked for under a lease of the service. The client's token needs
// the scope `keyward.tokens.cache` for that; with `keyward.tokens.validate` alone every verdict is a call. A client has one
// at a time.
func NewValidator(client *Client, options ValidatorOptions) (*Validator, error) {
	if options.MaxEntries == 0 {
		options.MaxEntries = memory.MaxEntries
	}
	if options.MaxEntries < 1 || options.MaxEntries > memory.MaxEntries {
		return nil, fmt.Errorf("keyward: MaxEntries must be 1 to %d", memory.MaxEntries)
	}
	held, err := client.hold(&client.hasValidator)
	if err != nil {
		return nil, fmt.Errorf("keyward: a validator: %w", err)
	}
	ctx, stop := context.WithCancel(client.ctx)
	v := &Validator{
		client:    client,
		holding:   held,
		keys:      newTextKeys(),
		onRevoked: options.OnRevoked,
		ctx:       ctx,
		stop:      stop,
		judging:   make(chan struct{}, maxJudgedAgain),
		bound:     map[memory.Key]map[*BoundText]bool{},
	}
	held.mu.Lock()
	defer held.mu.Unlock()
	held.memory.SetMaxEntries(options.MaxEntries)
	if v.onRevoked != nil {
		held.onTextsForgotten = v.judgeBoundAgain
	}
	return v, nil
}

// Validate gives the verdict on a text that somebody presented, exactly as it came. The token must hold the scopes, at most
// 64, to pass. An error, of type *Error, says that nobody can tell; it is never a verdict.
func (v *Validator) Validate(ctx context.Context, text string, scopes ...string) (Verdict, error) {
	if err := checkScopes(scopes); err != nil {
		return Verdict{}, err
	}
	if !canBeToken(text) {
		return Verdict{Reason: ReasonUnknown}, nil
	}
	key := v.keys.of(text)
	if verdict, ok := v.judge(key, scopes); ok {
		return verdict, nil
	}
	return v.ask(ctx, text, key, scopes)
}

// ValidateCached judges without waiting; false if memory may not, or cannot, tell, or if these are no scopes.
func (v *Validator) ValidateCached(text string, scopes ...string) (Verdict, bool) {
	if !areScopes(scopes) {
		return Verdict{}, false
	}
	if !canBeToken(text) {
		return Verdict{Reason: ReasonUnknown}, true
	}
	return v.judge(v.keys.of(text), scopes)
}

// Bind remembers a text that a connection presents again and again: it is hashed once. Release it when the connection ends.
func (v *Validator) Bind(text string) *BoundText {
	bound := &BoundText{validator: v, text: text, canBeToken: canBeToken(text)}
	if !bound.canBeToken {
		return bound
	}
	bound.key = v.keys.of(text)
	if v.onRevoked != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.bound[bound.key] == nil {
			v.bound[bound.key] = map[*BoundText]bool{}
		}
		v.bound[bound.key][bound] = true
	}
	return bound
}

// IsLeased tells whether memory answers at present.
func (v *Validator) IsLeased() bool {
	v.holding.mu.RLock()
	defer v.holding.mu.RUnlock()
	return v.holding.memory.IsLeased(clocks.Now())
}

// Len is how many tokens are held.
func (v *Validator) Len() int {
	v.holding.mu.RLock()
	defer v.holding.mu.RUnlock()
	return v.holding.memory.Len()
}

// Counts are how often verdicts were given.
func (v *Validator) Counts() ValidatorCounts {
	return ValidatorCounts{Memory: v.fromMemory.Load(), LookUps: v.byLookUp.Load(), Calls: v.byCall.Load()}
}

// Close forgets everything. The client stays open; it takes a second at most.
func (v *Validator) Close() {
	v.stop()
	v.mu.Lock()
	clear(v.bound)
	v.mu.Unlock()
	v.holding.mu.Lock()
	v.holding.onTextsForgotten = nil
	v.holding.memory.SetMaxEntries(0)
	v.holding.mu.Unlock()
	v.client.release(&v.client.hasValidator, v.holding)
}

func (v *Validator) judge(key memory.Key, scopes []string) (Verdict, bool) {
	v.holding.mu.RLock()
	verdict, ok := v.holding.memory.Judge(key, scopes, clocks.Now())
	v.holding.mu.RUnlock()
	if ok {
		v.fromMemory.Add(1)
	}
	return verdict, ok
}

// ask asks a replica: by the stream, so that the answer is held, or by a call.
func (v *Validator) ask(ctx context.Context, text string, key memory.Key, scopes []string) (Verdict, error) {
	if ctx.Err() != nil {
		return Verdict{}, ended(ctx)
	}
	answer, err := v.lookUp(ctx, text, key)
	if err != nil {
		return Verdict{}, err
	}
	if verdict, ok := v.holding.memory.JudgeAnswer(answer, scopes, clocks.Now()); ok {
		v.byLookUp.Add(1)
		return verdict, nil
	}
	response, err := v.client.Tokens.ValidateToken(ctx, &tokenv1.ValidateTokenRequest{Token: text, RequiredScopes: scopes})
	if err != nil {
		return Verdict{}, err
	}
	v.byCall.Add(1)
	return verdictOf(response), nil
}

// lookUp gives an empty answer where the stream has none. It fails only if the context ends.
func (v *Validator) lookUp(ctx context.Context, text string, key memory.Key) (memory.Answer, error) {
	h := v.holding
	answered := make(chan memory.Answer, 1)
	h.mu.Lock()
	s := h.session()
	if s == nil || h.memory.LookingUp() >= maxLookUps {
		h.mu.Unlock()
		return memory.Answer{}, nil
	}
	digest := func() []byte {
		digest := sha512.Sum512([]byte(text))
		return digest[:]
	}
	settle := func(answer memory.Answer) { answered <- answer }
	if asked := h.memory.LookUp(s.number, key, digest, clocks.Now(), settle); asked != nil {
		s.outbox.lookUp(asked)
	}
	h.mu.Unlock()
	limit := time.NewTimer(lookUpLimit)
	defer limit.Stop()
	select {
	case answer := <-answered:
		return answer, nil
	case <-limit.C:
		return memory.Answer{}, nil
	case <-ctx.Done():
		return memory.Answer{}, ended(ctx)
	}
}

// judgeBoundAgain tells of those bound texts that are among the forgotten, and do not pass any more.
func (v *Validator) judgeBoundAgain(forgotten []memory.Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, key := range forgotten {
		for bound := range v.bound[key] {
			go v.judgeAgain(bound)
		}
	}
}

func (v *Validator) judgeAgain(bound *BoundText) {
	select {
	case v.judging <- struct{}{}:
		defer func() { <-v.judging }()
	case <-v.ctx.Done():
		return
	}
	verdict, err := bound.Validate(v.ctx)
	// Where nobody can tell, the next one who asks will be told so.
	if err == nil && !verdict.Valid && v.unbind(bound) {
		v.onRevoked(bound, verdict)
	}
}

// unbind tells whether the text was bound until now.
func (v *Validator) unbind(bound *BoundText) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	others := v.bound[bound.key]
	if !others[bound] {
		return false
	}
	delete(others, bound)
	if len(others) == 0 {
		delete(v.bound, bound.key)
	}
	return true
}
