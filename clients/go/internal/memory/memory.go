// Package memory is what one client holds, and under which lease. It is told of every message of its streams, in their
// order, and says what to send; it neither waits nor sends, and is told the time.
package memory

import (
	"maps"
	"slices"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// MaxEntries is how many tokens a client may hold at most, and what a stream may name when it is opened.
const MaxEntries = 10_000

// Answer is what became of a look-up: an entry to judge by, the verdict on a text that is no token or not any more, or
// the error with which the look-up failed. All are nil if the stream ended before.
type Answer struct {
	Entry   *Entry
	Refusal *Verdict
	Error   *rpcstatus.Status
}

// Forgotten is what memory had to forget because a replica said so.
type Forgotten struct {
	// Texts are keys of texts.
	Texts []Key
	// Secrets are keys of values of secrets.
	Secrets []string
}

// lookUp is a text that is being looked up.
type lookUp struct {
	key     Key
	stream  int
	sent    Moment
	since   int
	digest  func() []byte
	settles []func(Answer)
	// later are those who have asked since it was sent: what it brings may be from before they did.
	later []func(Answer)
}

// Memory holds facts under a lease. Judge, JudgeEntry, EntryOf, IsLeased and JudgeAnswer may run at the same time as each
// other; everything else excludes everything else.
type Memory struct {
	// Secrets are the values of secrets that are held.
	Secrets *Shelf

	lease   lease
	entries entries
	// own is how many tokens the client wants to hold at most, and granted how many the replica lets it.
	own, granted int
	marks        marks
	overtaking   overtaking
	lookUps      map[uint64]*lookUp
	// byKey is the last look-up of each text that is under way.
	byKey map[Key]*lookUp
	ids   uint64
}

// New makes a memory that may hold nothing yet.
func New() *Memory {
	m := &Memory{
		lease:   newLease(),
		entries: newEntries(),
		granted: MaxEntries,
		lookUps: map[uint64]*lookUp{},
		byKey:   map[Key]*lookUp{},
	}
	m.Secrets = newShelf(&m.lease)
	return m
}

// SetMaxEntries says how many tokens to hold at most, up to MaxEntries; with 0, all are let go of.
func (m *Memory) SetMaxEntries(most int) {
	m.own = most
	m.entries.limit(min(m.own, m.granted))
}

// IsLeased tells whether a lease is held: whether anything is answered from memory.
func (m *Memory) IsLeased(now Moment) bool {
	return m.lease.isHeld(now)
}

// Len is how many tokens are held.
func (m *Memory) Len() int {
	return m.entries.order.Len()
}

// LookingUp is how many look-ups are not answered.
func (m *Memory) LookingUp() int {
	return len(m.lookUps)
}

// OpenStream begins a stream. It gives its number, and what its first message says of what is held.
func (m *Memory) OpenStream() (int, *tokenv1.HoldOpen) {
	m.tidy()
	// Up to where these are right is not known: their stream ended before it granted anything.
	for _, entry := range m.entries.all() {
		if entry.stream > m.lease.granted {
			m.entries.forget(entry)
		}
	}
	isForgetting := m.lease.position == nil
	if isForgetting {
		m.entries.clear()
	}
	// What is not named need not be released.
	clear(m.entries.released)
	open := &tokenv1.HoldOpen{Tokens: m.entries.named(), SecretIds: m.Secrets.named(isForgetting)}
	if len(open.Tokens)+len(open.SecretIds) > 0 {
		open.Position = m.lease.position
	}
	return m.lease.open(), open
}

// Opened takes the replica's terms, and gives what had to be forgotten.
func (m *Memory) Opened(opened *tokenv1.HoldOpened) Forgotten {
	var forgotten Forgotten
	if !opened.GetResumed() {
		forgotten = m.clear()
	}
	m.granted = int(opened.GetMaxEntries())
	m.entries.limit(min(m.own, m.granted))
	m.Secrets.limit(int(opened.GetMaxSecrets()))
	return forgotten
}

// LookUp begins to look a text up on a stream; `settle` is told the answer. It gives what to send: nil while one that was sent
// before is not answered.
func (m *Memory) LookUp(
	stream int, key Key, digest func() []byte, now Moment, settle func(Answer),
) *tokenv1.HoldText {
	if before := m.byKey[key]; before != nil && before.stream == stream {
		before.later = append(before.later, settle)
		return nil
	}
	return m.begin(&lookUp{key: key, stream: stream, sent: now, digest: digest, settles: []func(Answer){settle}})
}

// Facts takes what was looked up, keeps what may be kept, and answers those who asked. It gives what to send for those who
// asked later, where that was not kept.
func (m *Memory) Facts(stream int, facts *tokenv1.HoldFacts, now Moment) []*tokenv1.HoldText {
	var again []*tokenv1.HoldText
	for _, fact := range facts.GetFacts() {
		begun := m.lookUps[fact.GetId()]
		if begun == nil || begun.stream != stream {
			continue
		}
		answer := m.learn(begun, fact, now)
		held := m.entries.byKey[begun.key]
		isHeld := held != nil && m.lease.covers(held.stream, now)
		m.settle(fact.GetId(), begun, answer)
		switch {
		case isHeld:
			tellAll(begun.later, answer)
		case len(begun.later) > 0:
			next := &lookUp{key: begun.key, stream: stream, sent: now, digest: begun.digest, settles: begun.later}
			again = append(again, m.begin(next))
		}
	}
	return again
}

// Renewal asks for another lease, whose time counts from now; nil if the stream has ended.
func (m *Memory) Renewal(stream int, now Moment) *tokenv1.HoldRenewal {
	number := m.lease.renew(stream, now)
	if number == 0 {
		return nil
	}
	m.tidy()
	isLookedUp := func(key Key) bool { return m.byKey[key] != nil }
	return &tokenv1.HoldRenewal{
		Number:     number,
		Released:   m.entries.takeReleased(isLookedUp),
		Uses:       m.marks.takeUses(now),
		SecretUses: m.Secrets.takeUses(now),
	}
}

// Grant takes the answer to a renewal. It tells whether a lease was granted.
func (m *Memory) Grant(stream int, grant *tokenv1.HoldGrant) bool {
	return m.lease.grant(stream, grant)
}

// Invalidate forgets what it is told to, and gives what that was.
func (m *Memory) Invalidate(stream int, invalidation *tokenv1.HoldInvalidation) Forgotten {
	m.overtaking.add(invalidation)
	forgotten := Forgotten{Texts: m.entries.invalidate(invalidation), Secrets: m.Secrets.invalidate(invalidation)}
	m.lease.advance(stream, invalidation.GetPosition())
	m.forgetOvertakings()
	return forgotten
}

// StreamEnded tells that nothing more comes on a stream. A lease that it granted goes on to its own end.
func (m *Memory) StreamEnded(stream int) {
	m.lease.end(stream)
	for _, id := range slices.Sorted(maps.Keys(m.lookUps)) {
		if begun := m.lookUps[id]; begun.stream == stream {
			m.giveUp(id, begun)
		}
	}
	m.Secrets.streamEnded(stream)
}

// EntryOf is what is held of a text, to remember for JudgeEntry; nil if nothing is.
func (m *Memory) EntryOf(key Key) *Entry {
	return m.entries.byKey[key]
}

// Judge gives the verdict on a text; false if memory may not, or cannot, tell.
func (m *Memory) Judge(key Key, scopes []string, now Moment) (Verdict, bool) {
	return m.JudgeEntry(m.entries.byKey[key], scopes, now)
}

// JudgeEntry is Judge for an entry that the caller has remembered.
func (m *Memory) JudgeEntry(entry *Entry, scopes []string, now Moment) (Verdict, bool) {
	if !entry.IsHeld() || entry.isOver.Load() || !m.lease.covers(entry.stream, now) {
		return Verdict{}, false
	}
	if entry.expires.IsOver(now) {
		m.marks.end(entry)
		return Verdict{}, false
	}
	return m.judge(entry, scopes, now), true
}

// JudgeAnswer gives the verdict to one who has looked a text up; false if the answer is none.
func (m *Memory) JudgeAnswer(answer Answer, scopes []string, now Moment) (Verdict, bool) {
	switch {
	case answer.Refusal != nil:
		return *answer.Refusal, true
	case answer.Entry != nil:
		return m.judge(answer.Entry, scopes, now), true
	}
	return Verdict{}, false
}

// Close forgets everything, and the lease.
func (m *Memory) Close() {
	m.clear()
	for id, begun := range m.lookUps {
		m.giveUp(id, begun)
	}
	m.Secrets.close()
}

func (m *Memory) begin(begun *lookUp) *tokenv1.HoldText {
	m.ids++
	begun.since = m.overtaking.now()
	m.lookUps[m.ids] = begun
	m.byKey[begun.key] = begun
	return &tokenv1.HoldText{Id: m.ids, Digest: begun.digest()}
}

func (m *Memory) judge(entry *Entry, scopes []string, now Moment) Verdict {
	verdict := entry.judge(scopes)
	if verdict.Valid {
		m.marks.use(entry, now)
	}
	return verdict
}

// tidy lets go of the entries whose time was found to be over.
func (m *Memory) tidy() {
	for _, entry := range m.marks.takeOver() {
		m.entries.release(entry)
	}
}

func (m *Memory) clear() Forgotten {
	m.lease.drop()
	return Forgotten{Texts: m.entries.clear(), Secrets: m.Secrets.clear()}
}

func (m *Memory) learn(begun *lookUp, fact *tokenv1.HoldFact, now Moment) Answer {
	if fact.GetError() != nil {
		return Answer{Error: fact.GetError()}
	}
	if !fact.GetKnown() || fact.GetPrincipal() == nil {
		return Answer{Refusal: &Verdict{Reason: Unknown, Stale: fact.GetStale()}}
	}
	expires := never
	if fact.GetExpiresIn() != nil {
		expires = begun.sent.After(fact.GetExpiresIn().AsDuration())
	}
	if expires.IsOver(now) {
		return Answer{Refusal: &Verdict{Reason: Expired, KeyID: fact.GetKeyId(), Stale: fact.GetStale()}}
	}
	owner := m.entries.ownerOf(PrincipalOf(fact.GetPrincipal()))
	entry := newEntry(begun.key, fact, owner, begun.stream, expires)
	if m.mayKeep(begun, fact) {
		m.entries.add(entry)
	}
	return Answer{Entry: entry}
}

// mayKeep: what comes on a stream after another one was opened is not named to that one's replica.
func (m *Memory) mayKeep(begun *lookUp, fact *tokenv1.HoldFact) bool {
	handle := fact.GetHandle()
	return fact.GetKeep() && !fact.GetStale() && begun.stream == m.lease.newest &&
		!m.overtaking.mayHaveMeant(begun.since, &handle)
}

func (m *Memory) settle(id uint64, begun *lookUp, answer Answer) {
	delete(m.lookUps, id)
	if m.byKey[begun.key] == begun {
		delete(m.byKey, begun.key)
	}
	m.forgetOvertakings()
	tellAll(begun.settles, answer)
}

func (m *Memory) giveUp(id uint64, begun *lookUp) {
	m.settle(id, begun, Answer{})
	tellAll(begun.later, Answer{})
}

func tellAll(settles []func(Answer), answer Answer) {
	for _, settle := range settles {
		settle(answer)
	}
}

func (m *Memory) forgetOvertakings() {
	if len(m.lookUps) == 0 {
		m.overtaking.nothingUnderWay()
	}
}
