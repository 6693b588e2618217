package memory

import (
	"container/list"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	secretv1 "keyward.dev/keyward/gen/keyward/secret/v1"
	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// Value is one value of a secret.
type Value struct {
	SecretID int64
	Version  int32
	// Bytes are the value, a text in UTF-8.
	Bytes []byte
}

// Accessed is a value, or the error with which asking for it failed. Both are nil if the stream ended before.
type Accessed struct {
	Value *Value
	Error *rpcstatus.Status
}

// ValueOf reads a value out of the answer to an access. The bytes are the caller's own.
func ValueOf(access *secretv1.AccessSecretResponse) *Value {
	value := &Value{SecretID: access.GetSecretId(), Version: access.GetVersion()}
	if data := access.GetPayload().GetData(); data != nil {
		value.Bytes = slices.Clone(data)
	} else {
		value.Bytes = []byte(access.GetPayload().GetText())
	}
	return value
}

// heldValue is a value that is held. Its bytes are overwritten when it is forgotten.
type heldValue struct {
	key      string
	value    *Value
	stream   int
	expires  Moment
	place    *list.Element
	uses     atomic.Uint32
	lastUsed atomic.Int64
	isOver   atomic.Bool
}

// asked is a value that is being asked for.
type asked struct {
	key     string
	stream  int
	sent    Moment
	since   int
	request *secretv1.AccessSecretRequest
	settles []func(Accessed)
	// later are those who have asked since it was sent: what it brings may be from before they did.
	later []func(Accessed)
}

// Shelf is the values of secrets that a client holds, under the same lease and by the same rules as verdicts. Get and Holds
// may run at the same time as each other.
type Shelf struct {
	lease *lease
	// own is how many values the client wants to hold at most, and granted how many the replica lets it.
	own, granted int
	// order is that in which they came.
	order      *list.List
	held       map[string]*heldValue
	asked      map[uint64]*asked
	byKey      map[string]*asked
	overtaking overtaking
	ids        uint64
}

func newShelf(lease *lease) *Shelf {
	return &Shelf{
		lease:   lease,
		granted: math.MaxInt,
		order:   list.New(),
		held:    map[string]*heldValue{},
		asked:   map[uint64]*asked{},
		byKey:   map[string]*asked{},
	}
}

// SetMax says how many values to hold at most.
func (s *Shelf) SetMax(most int) {
	s.own = most
	s.makeRoom()
}

// Asking is how many questions are not answered.
func (s *Shelf) Asking() int {
	return len(s.asked)
}

// Access begins to ask for a value on a stream; `settle` is told the answer. It gives what to send: nil while what was sent
// before is not answered.
func (s *Shelf) Access(
	stream int, key string, request *secretv1.AccessSecretRequest, now Moment, settle func(Accessed),
) *tokenv1.HoldAccess {
	if before := s.byKey[key]; before != nil && before.stream == stream {
		before.later = append(before.later, settle)
		return nil
	}
	return s.begin(&asked{key: key, stream: stream, sent: now, request: request, settles: []func(Accessed){settle}})
}

// Accessed takes what was asked for, keeps what may be kept, and answers those who asked, each with a value of its own. It
// gives what to send for those who asked later, where that was not kept.
func (s *Shelf) Accessed(stream int, accessed *tokenv1.HoldAccessed, now Moment) *tokenv1.HoldAccess {
	begun := s.asked[accessed.GetId()]
	if begun == nil || begun.stream != stream {
		return nil
	}
	answer := func() Accessed { return Accessed{Error: accessed.GetError()} }
	if accessed.GetAccess() != nil {
		answer = func() Accessed { return Accessed{Value: ValueOf(accessed.GetAccess())} }
		defer clear(accessed.GetAccess().GetPayload().GetData())
		if accessed.GetKeep() && stream == s.lease.newest && !s.overtaking.mayHaveMeant(begun.since, nil) {
			s.keep(begun, accessed)
		}
	}
	s.settle(accessed.GetId(), begun, answer)
	if len(begun.later) > 0 && s.Get(begun.key, now) == nil {
		return s.begin(
			&asked{key: begun.key, stream: stream, sent: now, request: begun.request, settles: begun.later})
	}
	for _, settle := range begun.later {
		settle(answer())
	}
	return nil
}

// Get gives a copy of a value that is held, as long as that may be; nil if memory may not, or cannot, tell.
func (s *Shelf) Get(key string, now Moment) *Value {
	held := s.held[key]
	if held == nil || held.isOver.Load() || !s.lease.covers(held.stream, now) {
		return nil
	}
	if held.expires.IsOver(now) {
		held.isOver.Store(true)
		return nil
	}
	held.lastUsed.Store(int64(now.Monotonic))
	held.uses.Add(1)
	value := *held.value
	value.Bytes = slices.Clone(value.Bytes)
	return &value
}

// Holds tells whether a value is held, under a lease or not.
func (s *Shelf) Holds(key string) bool {
	return s.held[key] != nil
}

// limit takes how many values the replica lets the client hold.
func (s *Shelf) limit(most int) {
	s.granted = most
	s.makeRoom()
}

// named gives the secrets whose values are named to another replica; none is held any more if all are to be forgotten.
func (s *Shelf) named(isForgetting bool) []int64 {
	var ids []int64
	for _, held := range s.all() {
		if isForgetting || held.stream > s.lease.granted {
			s.forget(held)
		} else if !slices.Contains(ids, held.value.SecretID) {
			ids = append(ids, held.value.SecretID)
		}
	}
	return ids
}

// invalidate forgets what it is told to, and gives the keys of it.
func (s *Shelf) invalidate(invalidation *tokenv1.HoldInvalidation) []string {
	s.overtaking.add(invalidation)
	var keys []string
	for _, held := range s.all() {
		if invalidation.GetEverything() || invalidation.GetAllSecrets() ||
			slices.Contains(invalidation.GetSecretIds(), held.value.SecretID) {
			s.forget(held)
			keys = append(keys, held.key)
		}
	}
	s.forgetOvertakings()
	return keys
}

// takeUses gives what is to be told to the replica.
func (s *Shelf) takeUses(now Moment) []*tokenv1.HoldSecretUse {
	uses := report[int64]{}
	for _, held := range s.all() {
		if held.uses.Load() > 0 && uses.hasRoom(held.value.SecretID) {
			ago := now.Monotonic - time.Duration(held.lastUsed.Load())
			uses.add(held.value.SecretID, held.uses.Swap(0), ago)
		}
	}
	s.tidy()
	var told []*tokenv1.HoldSecretUse
	for _, id := range uses.order {
		use := uses.byName[id]
		told = append(told, &tokenv1.HoldSecretUse{SecretId: id, Count: use.count, LastUsedAgo: durationpb.New(use.ago)})
	}
	return told
}

// tidy forgets the values whose time was found to be over.
func (s *Shelf) tidy() {
	for _, held := range s.all() {
		if held.isOver.Load() {
			s.forget(held)
		}
	}
}

// clear forgets all, and gives the keys of them.
func (s *Shelf) clear() []string {
	var keys []string
	for _, held := range s.all() {
		s.forget(held)
		keys = append(keys, held.key)
	}
	return keys
}

func (s *Shelf) streamEnded(stream int) {
	for _, id := range slices.Sorted(maps.Keys(s.asked)) {
		if begun := s.asked[id]; begun.stream == stream {
			s.giveUp(id, begun)
		}
	}
}

func (s *Shelf) close() {
	for id, begun := range s.asked {
		s.giveUp(id, begun)
	}
}

func (s *Shelf) begin(begun *asked) *tokenv1.HoldAccess {
	s.ids++
	begun.since = s.overtaking.now()
	s.asked[s.ids] = begun
	s.byKey[begun.key] = begun
	return &tokenv1.HoldAccess{Id: s.ids, Request: begun.request}
}

func (s *Shelf) giveUp(id uint64, begun *asked) {
	s.settle(id, begun, func() Accessed { return Accessed{} })
	for _, settle := range begun.later {
		settle(Accessed{})
	}
}

func (s *Shelf) keep(begun *asked, accessed *tokenv1.HoldAccessed) {
	if before := s.held[begun.key]; before != nil {
		s.forget(before)
	}
	expires := never
	if accessed.GetExpiresIn() != nil {
		expires = begun.sent.After(accessed.GetExpiresIn().AsDuration())
	}
	held := &heldValue{key: begun.key, value: ValueOf(accessed.GetAccess()), stream: begun.stream, expires: expires}
	held.place = s.order.PushBack(held)
	s.held[begun.key] = held
	s.makeRoom()
}

func (s *Shelf) all() []*heldValue {
	all := make([]*heldValue, 0, s.order.Len())
	for place := s.order.Front(); place != nil; place = place.Next() {
		all = append(all, place.Value.(*heldValue))
	}
	return all
}

func (s *Shelf) makeRoom() {
	for s.order.Len() > max(min(s.own, s.granted), 0) {
		s.forget(s.order.Front().Value.(*heldValue))
	}
}

func (s *Shelf) forget(held *heldValue) {
	clear(held.value.Bytes)
	s.order.Remove(held.place)
	delete(s.held, held.key)
}

func (s *Shelf) settle(id uint64, begun *asked, answer func() Accessed) {
	delete(s.asked, id)
	if s.byKey[begun.key] == begun {
		delete(s.byKey, begun.key)
	}
	s.forgetOvertakings()
	for _, settle := range begun.settles {
		settle(answer())
	}
}

func (s *Shelf) forgetOvertakings() {
	if len(s.asked) == 0 {
		s.overtaking.nothingUnderWay()
	}
}
