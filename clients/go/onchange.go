package keyward

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
)

// watched is a secret that somebody is told the changes of.
type watched struct {
	name SecretName
	key  string
	told func(Secret, error)
	// again is told that it must be read again.
	again chan struct{}
	// isByCall is true if what was read last was read without a lease: nobody told of changes of it.
	isByCall bool
	// last is what was told last.
	last string
}

// OnChange hands a value over when it is another one, as soon as that is known, and what it is now to begin with; or, with an
// error, that there is none any more. The reader must keep values. `told` is called by one goroutine, one call after the
// other, and must not close the reader. The function that OnChange gives ends it.
func (r *SecretReader) OnChange(name SecretName, told func(Secret, error)) (stop func(), err error) {
	if r.holding == nil {
		return nil, errors.New("keyward: OnChange needs a reader that keeps values")
	}
	key, err := keyOf(name)
	if err != nil {
		return nil, err
	}
	own := proto.Clone(name).(SecretName)
	w := &watched{name: own, key: key, told: told, again: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(r.ctx)
	r.mu.Lock()
	r.watched[w] = true
	r.mu.Unlock()
	r.goroutines.Go(func() {
		r.watch(ctx, w)
		stop()
		r.mu.Lock()
		delete(r.watched, w)
		r.mu.Unlock()
	})
	return stop, nil
}

// watch reads, and tells what is new, whenever there may be something new.
func (r *SecretReader) watch(ctx context.Context, w *watched) {
	attempts := 0
	for ctx.Err() == nil {
		r.begin(w)
		secret, err := r.Get(ctx, w.name)
		if ctx.Err() != nil {
			return
		}
		w.tell(secret, err)
		if err == nil && r.isHeld(w) {
			attempts = 0
			r.waitWhileHeld(ctx, w)
		} else {
			w.wait(ctx, backoff(attempts, maxReadWait))
			attempts++
		}
	}
}

// waitWhileHeld: whoever changes what is held tells so. It may have been let go of besides, to make room for another.
func (r *SecretReader) waitWhileHeld(ctx context.Context, w *watched) {
	for r.isHeld(w) {
		if w.wait(ctx, maxReadWait) {
			return
		}
	}
}

// wait tells whether it has not waited to the end.
func (w *watched) wait(ctx context.Context, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.again:
		return true
	case <-ctx.Done():
		return true
	case <-timer.C:
		return false
	}
}

// begin notes whether what is read now must be read again with the next lease.
func (r *SecretReader) begin(w *watched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holding.mu.RLock()
	defer r.holding.mu.RUnlock()
	w.isByCall = r.holding.session() == nil
}

func (r *SecretReader) isHeld(w *watched) bool {
	r.holding.mu.RLock()
	defer r.holding.mu.RUnlock()
	return r.holding.memory.Secrets.Holds(w.key)
}

// tell tells what is another value than before, or why there is none. Where that is not known, it tells nothing.
func (w *watched) tell(secret Secret, err error) {
	told := fmt.Sprintf("%d/%d", secret.ID, secret.Version)
	if err != nil {
		var failure *Error
		if errors.As(err, &failure) && slices.Contains(passing, failure.Code) {
			return
		}
		told = "none"
		if failure != nil {
			told = failure.Code.String()
		}
	}
	if told == w.last {
		return
	}
	w.last = told
	w.told(secret, err)
}

// readAgain has those read that were forgotten, since they may be others now.
func (r *SecretReader) readAgain(keys []string) {
	r.wake(func(w *watched) bool { return slices.Contains(keys, w.key) })
}

// readUnderLease has those read that were read without a lease.
func (r *SecretReader) readUnderLease() {
	r.wake(func(w *watched) bool { return w.isByCall })
}

func (r *SecretReader) wake(isMeant func(*watched) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.watched {
		if !isMeant(w) {
			continue
		}
		w.isByCall = false
		select {
		case w.again <- struct{}{}:
		default:
		}
	}
}
