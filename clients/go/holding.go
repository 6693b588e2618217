package keyward

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
	"keyward.dev/keyward/internal/clocks"
	"keyward.dev/keyward/internal/memory"
)

// refusedWait is how long a service is left alone that lets this caller hold nothing.
const refusedWait = time.Minute

// holding keeps a client's memory right: it holds a stream to some replica, and goes to another one where that ends. The
// validator and the reader of a client share it.
type holding struct {
	transport       *transport
	clientID, label string

	// mu guards the memory, and the sessions' outboxes with it: what memory says is sent in the order in which it said so.
	mu      sync.RWMutex
	memory  *memory.Memory
	current *session
	// leaving are the sessions that are left as soon as another one has granted a lease.
	leaving  map[*session]bool
	failures int
	isClosed bool
	// Who is told what has become of the memory, and must not wait. Nil: nobody.
	onTextsForgotten   func([]memory.Key)
	onSecretsForgotten func([]string)
	onGranted          func()

	stop       context.CancelFunc
	goroutines sync.WaitGroup
}

func newHolding(t *transport) *holding {
	ctx, stop := context.WithCancel(context.Background())
	h := &holding{
		transport: t,
		clientID:  randomUUID(),
		label:     t.options.Label,
		memory:    memory.New(),
		leaving:   map[*session]bool{},
		stop:      stop,
	}
	h.goroutines.Go(func() { h.run(ctx) })
	return h
}

// session is the stream on which what is asked for may be kept; nil while there is no lease. The mutex is held.
func (h *holding) session() *session {
	s := h.current
	if s == nil || !s.isOpen || s.hasEnded || s.hasLeft || !h.memory.IsLeased(clocks.Now()) {
		return nil
	}
	return s
}

// close forgets everything, and tells the replica so. It waits until the streams have ended.
func (h *holding) close() {
	h.mu.Lock()
	h.isClosed = true
	h.memory.Close()
	if h.current != nil {
		h.current.leave()
	}
	for each := range h.leaving {
		each.leave()
	}
	h.mu.Unlock()
	h.stop()
	h.goroutines.Wait()
}

// run opens one stream after the other, the next when the last has ended or its replica asks to leave it.
func (h *holding) run(ctx context.Context) {
	var at *server
	for ctx.Err() == nil {
		at = h.next(at)
		isAskedToLeave, failure := h.hold(ctx, at)
		if isAskedToLeave {
			continue
		}
		h.mu.Lock()
		wait := backoff(h.failures, maxWait)
		h.failures++
		h.mu.Unlock()
		if failure != nil && isRefusal(failure.Code) {
			wait = refusedWait
		}
		sleep(ctx, wait)
	}
}

// next is the server of the next stream: none whose replica has asked to leave it, if there is another.
func (h *holding) next(before *server) *server {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for each := range h.leaving {
		return h.transport.next(each.at, isLeaving)
	}
	return h.transport.next(before, hasFailed)
}

// hold opens a stream, and waits until another one is to be opened: because the replica asks to leave it, or because it has
// ended.
func (h *holding) hold(ctx context.Context, at *server) (isAskedToLeave bool, failure *Error) {
	// A stream is ended in order when the holding is closed, and not by the end of a context.
	streamCtx, cancel := context.WithCancel(context.Background())
	stream, err := h.openStream(ctx, streamCtx, cancel, at)
	if err != nil {
		cancel()
		return false, toError(streamCtx, err)
	}
	s := newSession(h, at, stream, cancel)
	select {
	case <-s.askedToLeave:
		h.mu.Lock()
		h.leaving[s] = true
		h.mu.Unlock()
		return true, nil
	case <-s.ended:
		return false, s.failure
	case <-ctx.Done():
		return false, nil
	}
}

// openStream connects, which may take until the silence of a stream would be too long.
func (h *holding) openStream(
	ctx, streamCtx context.Context, cancel context.CancelFunc, at *server,
) (holdStream, error) {
	defer context.AfterFunc(ctx, cancel)()
	limit := time.AfterFunc(silenceLimit, cancel)
	defer limit.Stop()
	return tokenv1.NewTokenServiceClient(h.transport.via(at)).HoldVerdicts(streamCtx)
}

// begin takes a session for the present one. The mutex is held.
func (h *holding) begin(s *session) {
	h.current = s
	h.goroutines.Add(1)
	if h.isClosed {
		s.cancel()
	}
}

// granted notes a lease. It tells whether it is one of the present stream. The mutex is held.
func (h *holding) granted(s *session) bool {
	if s != h.current || h.isClosed {
		return false
	}
	h.failures = 0
	for other := range h.leaving {
		if other != s {
			other.leave()
			delete(h.leaving, other)
		}
	}
	return true
}

func (h *holding) sessionEnded(s *session) {
	h.mu.Lock()
	delete(h.leaving, s)
	if h.current == s {
		h.current = nil
	}
	h.mu.Unlock()
}

func (h *holding) tell(forgotten memory.Forgotten, isGranted bool) {
	h.mu.RLock()
	onTexts, onSecrets, onGranted := h.onTextsForgotten, h.onSecretsForgotten, h.onGranted
	h.mu.RUnlock()
	if len(forgotten.Texts) > 0 && onTexts != nil {
		onTexts(forgotten.Texts)
	}
	if len(forgotten.Secrets) > 0 && onSecrets != nil {
		onSecrets(forgotten.Secrets)
	}
	if isGranted && onGranted != nil {
		onGranted()
	}
}

// isRefusal tells that this caller may hold nothing at this service, or that it cannot be held anything of.
func isRefusal(code codes.Code) bool {
	return code == codes.PermissionDenied || code == codes.Unimplemented || code == codes.InvalidArgument
}

func randomUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
