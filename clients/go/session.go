package keyward

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
	"keyward.dev/keyward/internal/clocks"
	"keyward.dev/keyward/internal/memory"
)

const (
	// silenceLimit: a stream that is not opened, or on which no renewal was answered, for so long is given up.
	silenceLimit = 10 * time.Second
	// leavingLimit is how long a replica may take to end a stream that was left.
	leavingLimit = time.Second
	// renewEvery is how often a lease is asked for where the replica does not say.
	renewEvery      = time.Second
	shortestRenewal = 10 * time.Millisecond
)

type holdStream = tokenv1.TokenService_HoldVerdictsClient

// session is one stream to one replica. It hands every message to the memory, in the order in which they come. All of it
// but the streams' own methods is guarded by the mutex of the holding.
type session struct {
	holding *holding
	at      *server
	stream  holdStream
	// number is that of the stream, as memory counts them.
	number int
	outbox outbox
	// isOpen is true once the replica has told its terms, so that it may be asked.
	isOpen bool
	// hasLeft is true once this side is ended: nothing more can be said.
	hasLeft  bool
	hasEnded bool
	cancel   context.CancelFunc
	silence  *time.Timer

	// opened is closed when the replica has told its terms, askedToLeave when it asks to go to another one, ended when nothing
	// comes any more.
	opened, askedToLeave, ended chan struct{}
	renewEvery                  time.Duration
	failure                     *Error
}

// newSession takes a stream to a server over, whose context `cancel` ends.
func newSession(h *holding, at *server, stream holdStream, cancel context.CancelFunc) *session {
	s := &session{
		holding:      h,
		at:           at,
		stream:       stream,
		outbox:       newOutbox(),
		cancel:       cancel,
		silence:      time.AfterFunc(silenceLimit, cancel),
		opened:       make(chan struct{}),
		askedToLeave: make(chan struct{}),
		ended:        make(chan struct{}),
		renewEvery:   renewEvery,
	}
	h.mu.Lock()
	number, open := h.memory.OpenStream()
	s.number = number
	open.ClientId, open.Label, open.Agent = h.clientID, h.label, agent
	s.outbox.add(&tokenv1.HoldVerdictsRequest{Message: &tokenv1.HoldVerdictsRequest_Open{Open: open}})
	h.begin(s)
	h.mu.Unlock()
	go s.run()
	return s
}

// run ends when the stream has ended.
func (s *session) run() {
	defer s.holding.goroutines.Done()
	var sending sync.WaitGroup
	sending.Go(s.send)
	failure := s.receive()
	s.silence.Stop()
	s.cancel()
	s.holding.mu.Lock()
	s.hasEnded = true
	s.failure = failure
	s.holding.memory.StreamEnded(s.number)
	s.holding.mu.Unlock()
	close(s.ended)
	sending.Wait()
	s.holding.sessionEnded(s)
}

func (s *session) receive() *Error {
	for {
		message, err := s.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return toError(s.stream.Context(), err)
		}
		s.take(message)
	}
}

// send sends what is to be sent, and asks for leases.
func (s *session) send() {
	opened := s.opened
	var renewals <-chan time.Time
	for {
		select {
		case <-s.ended:
			return
		case <-opened:
			opened = nil
			ticker := time.NewTicker(s.renewEvery)
			defer ticker.Stop()
			renewals = ticker.C
		case <-renewals:
			s.holding.mu.Lock()
			s.renew()
			s.holding.mu.Unlock()
		case <-s.outbox.wake:
		}
		for message, isLast := s.next(); message != nil; message, isLast = s.next() {
			if s.stream.Send(message) != nil {
				// Why, those learn who receive.
				return
			}
			if isLast {
				_ = s.stream.CloseSend()
				return
			}
		}
	}
}

// next takes what is to be sent next, and tells whether nothing may follow.
func (s *session) next() (message *tokenv1.HoldVerdictsRequest, isLast bool) {
	s.holding.mu.Lock()
	defer s.holding.mu.Unlock()
	message = s.outbox.take()
	return message, message.GetLeft() != nil
}

// renew asks for another lease, whose time counts from now. The mutex is held.
func (s *session) renew() {
	if s.hasEnded || s.hasLeft {
		return
	}
	if renewal := s.holding.memory.Renewal(s.number, clocks.Now()); renewal != nil {
		s.outbox.add(&tokenv1.HoldVerdictsRequest{Message: &tokenv1.HoldVerdictsRequest_Renewal{Renewal: renewal}})
	}
}

// leave ends the stream in order: no lease of it is used any more. The mutex is held.
func (s *session) leave() {
	if s.hasEnded || s.hasLeft {
		return
	}
	s.outbox.add(&tokenv1.HoldVerdictsRequest{
		Message: &tokenv1.HoldVerdictsRequest_Left{Left: &tokenv1.HoldLeft{}},
	})
	s.hasLeft = true
	s.silence.Reset(leavingLimit)
}

// take hands a message to the memory, and tells afterwards who wants to know.
func (s *session) take(message *tokenv1.HoldVerdictsResponse) {
	h := s.holding
	var forgotten memory.Forgotten
	isGranted := false
	h.mu.Lock()
	switch message := message.GetMessage().(type) {
	case *tokenv1.HoldVerdictsResponse_Opened:
		forgotten = s.open(message.Opened)
	case *tokenv1.HoldVerdictsResponse_Facts:
		s.lookUpAgain(h.memory.Facts(s.number, message.Facts, clocks.Now()))
	case *tokenv1.HoldVerdictsResponse_Accessed:
		again := h.memory.Secrets.Accessed(s.number, message.Accessed, clocks.Now())
		if !s.hasLeft {
			s.outbox.access(again)
		}
	case *tokenv1.HoldVerdictsResponse_Grant:
		if !s.hasLeft {
			s.silence.Reset(silenceLimit)
		}
		isGranted = h.memory.Grant(s.number, message.Grant) && h.granted(s)
	case *tokenv1.HoldVerdictsResponse_Invalidation:
		forgotten = h.memory.Invalidate(s.number, message.Invalidation)
		if !s.hasLeft {
			s.outbox.acknowledge(message.Invalidation.GetNumber())
		}
	case *tokenv1.HoldVerdictsResponse_Leave:
		select {
		case <-s.askedToLeave:
		default:
			close(s.askedToLeave)
		}
	}
	h.mu.Unlock()
	h.tell(forgotten, isGranted)
}

// lookUpAgain asks for those who asked while an answer was under way that could not be held. The mutex is held.
func (s *session) lookUpAgain(texts []*tokenv1.HoldText) {
	for _, text := range texts {
		if !s.hasLeft {
			s.outbox.lookUp(text)
		}
	}
}

// open takes the replica's terms. The mutex is held.
func (s *session) open(opened *tokenv1.HoldOpened) memory.Forgotten {
	if s.isOpen {
		return memory.Forgotten{}
	}
	s.isOpen = true
	if !s.hasLeft {
		s.silence.Reset(silenceLimit)
	}
	if opened.GetRenewEvery() != nil {
		s.renewEvery = max(opened.GetRenewEvery().AsDuration(), shortestRenewal)
	}
	forgotten := s.holding.memory.Opened(opened)
	s.renew()
	close(s.opened)
	return forgotten
}
