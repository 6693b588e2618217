//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"keyward.dev/keyward"
)

const (
	// changedEvery: one of so many stretches is about a token that somebody changes.
	changedEvery = 3
	// atAStretch: of equal answers the first and the last are enough if they are no further apart.
	atAStretch = 0.5
)

// asking asks a validator about one credential after the other, first its memory alone.
type asking struct {
	client    *keyward.Client
	validator *keyward.Validator
	options   options

	mu     sync.Mutex
	random *rand.Rand
	known  []known
	bound  map[int]*keyward.BoundText
	// underWay are credentials that are being asked for by a call.
	underWay map[int]bool
	said     []said
}

func newAsking(opened options) (*asking, error) {
	client, err := keyward.New(keyward.Options{
		Servers: opened.Servers, Token: opened.Token, Label: opened.Label,
		Timeout: time.Duration(opened.TimeoutMs * float64(time.Millisecond)),
	})
	if err != nil {
		return nil, err
	}
	validator, err := keyward.NewValidator(client, keyward.ValidatorOptions{})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &asking{
		client: client, validator: validator, options: opened, random: rand.New(rand.NewPCG(opened.Seed, 0)),
		bound: map[int]*keyward.BoundText{}, underWay: map[int]bool{},
	}, nil
}

func (a *asking) run() {
	for range time.Tick(time.Duration(a.options.PaceMs * float64(time.Millisecond))) {
		if each, ok := a.pick(); ok {
			a.ask(each)
		}
	}
}

func (a *asking) pick() (known, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	isChanged := a.random.IntN(changedEvery) == 0
	var among []known
	for _, each := range a.known {
		if each.IsBystander != isChanged {
			among = append(among, each)
		}
	}
	if len(among) == 0 {
		return known{}, false
	}
	return among[a.random.IntN(len(among))], true
}

func (a *asking) know(known []known) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = known
	bound := map[int]*keyward.BoundText{}
	for _, each := range known {
		if before := a.bound[each.Number]; before != nil {
			bound[each.Number] = before
		}
	}
	a.bound = bound
}

func (a *asking) count(known []known) int {
	held := 0
	for _, each := range known {
		if _, ok := a.fromMemory(each)(); ok {
			held++
		}
	}
	return held
}

// fromMemory: every second credential is bound, as that of a connection that is kept alive.
func (a *asking) fromMemory(of known) func() (keyward.Verdict, bool) {
	if of.Number%2 == 1 {
		return func() (keyward.Verdict, bool) { return a.validator.ValidateCached(of.Plaintext) }
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bound[of.Number] == nil {
		a.bound[of.Number] = a.validator.Bind(of.Plaintext)
	}
	bound := a.bound[of.Number]
	return func() (keyward.Verdict, bool) { return bound.ValidateCached() }
}

func (a *asking) ask(of known) {
	told := askAtAStretch(of.Number, a.fromMemory(of), a.options.Stretch)
	asked := 0
	for _, each := range told {
		asked += each.Count
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, told...)
	if asked < a.options.Stretch && !a.underWay[of.Number] {
		a.underWay[of.Number] = true
		go a.askByCall(of)
	}
}

func (a *asking) askByCall(of known) {
	startedAt := machineNow()
	verdict, err := a.validator.Validate(context.Background(), of.Plaintext)
	told := said{Credential: of.Number, Answer: answerOf(verdict), Count: 1}
	if err != nil {
		told.Answer = failed(err)
	}
	told.Spans = []span{{StartedAt: startedAt, EndedAt: machineNow()}}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.underWay, of.Number)
	a.said = append(a.said, told)
}

// taken is what was said since it was taken last.
func (a *asking) taken() []said {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.said
	a.said = nil
	return taken
}

// askAtAStretch asks memory again and again, until it has no answer or another one. The time is taken before each question,
// so that no answer is taken for a later one than it is.
func askAtAStretch(credential int, ask func() (keyward.Verdict, bool), most int) []said {
	var spans []span
	var first keyward.Verdict
	for len(spans) < most {
		startedAt := machineNow()
		verdict, ok := ask()
		if !ok {
			break
		}
		own := span{StartedAt: startedAt, EndedAt: machineNow()}
		if len(spans) > 0 && (verdict.Reason != first.Reason || verdict.Stale != first.Stale) {
			return append(condensed(credential, first, spans), askedOnce(credential, verdict, own))
		}
		first = verdict
		spans = append(spans, own)
	}
	return condensed(credential, first, spans)
}

// condensed: where a process stood still between the first and the last, all are reported.
func condensed(credential int, verdict keyward.Verdict, spans []span) []said {
	if len(spans) == 0 {
		return nil
	}
	last := spans[len(spans)-1]
	if len(spans) > 1 && last.EndedAt-spans[0].StartedAt <= atAStretch {
		both := []span{spans[0], last}
		return []said{{Credential: credential, IsFromMemory: true, Answer: answerOf(verdict), Spans: both, Count: len(spans)}}
	}
	var all []said
	for _, each := range spans {
		all = append(all, askedOnce(credential, verdict, each))
	}
	return all
}

func askedOnce(credential int, verdict keyward.Verdict, own span) said {
	return said{Credential: credential, IsFromMemory: true, Answer: answerOf(verdict), Spans: []span{own}, Count: 1}
}

func answerOf(verdict keyward.Verdict) answer {
	reason := string(verdict.Reason)
	return answer{Verdict: &reason, Valid: &verdict.Valid, Stale: &verdict.Stale}
}

// failed tells the code of an outage, and of whatever else all that is known.
func failed(err error) answer {
	text := fmt.Sprint(err)
	var failure *keyward.Error
	if errors.As(err, &failure) {
		switch failure.Code {
		case codes.Unavailable:
			text = "UNAVAILABLE"
		case codes.DeadlineExceeded:
			text = "DEADLINE_EXCEEDED"
		}
	}
	return answer{Failure: &text}
}

// machineNow is milliseconds by a clock that all processes of this machine share and that nobody sets.
func machineNow() float64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		panic(err)
	}
	return float64(at.Nano()) / 1e6
}
