package memory

import (
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// maxReported is how many keys, and how many secrets, a renewal reports at most. The rest is told with the next.
const maxReported = 1_000

// marks are what many verdicts, given at the same time, leave behind for the next renewal.
type marks struct {
	mu sync.Mutex
	// used are the entries that let pass since that was last told, each once.
	used []*Entry
	// over are the entries whose time was found to be over, each once.
	over []*Entry
}

func (m *marks) use(entry *Entry, now Moment) {
	if !entry.wasUsed.Load() {
		entry.wasUsed.Store(true)
	}
	entry.lastUsed.Store(int64(now.Monotonic))
	if entry.uses.Add(1) == 1 {
		m.mu.Lock()
		m.used = append(m.used, entry)
		m.mu.Unlock()
	}
}

func (m *marks) end(entry *Entry) {
	if entry.isOver.CompareAndSwap(false, true) {
		m.mu.Lock()
		m.over = append(m.over, entry)
		m.mu.Unlock()
	}
}

// takeOver gives the entries whose time is over.
func (m *marks) takeOver() []*Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	over := m.over
	m.over = nil
	return over
}

// takeUses gives what is to be told now.
func (m *marks) takeUses(now Moment) []*tokenv1.HoldUse {
	m.mu.Lock()
	defer m.mu.Unlock()
	uses := report[string]{}
	taken := 0
	for _, entry := range m.used {
		if !uses.hasRoom(entry.keyID) {
			break
		}
		ago := now.Monotonic - time.Duration(entry.lastUsed.Load())
		uses.add(entry.keyID, entry.uses.Swap(0), ago)
		taken++
	}
	m.used = append([]*Entry(nil), m.used[taken:]...)
	var told []*tokenv1.HoldUse
	for _, keyID := range uses.order {
		use := uses.byName[keyID]
		told = append(told, &tokenv1.HoldUse{KeyId: keyID, Count: use.count, LastUsedAgo: durationpb.New(use.ago)})
	}
	return told
}

// usage is how often something was used, and how long ago the last time was.
type usage struct {
	count uint32
	ago   time.Duration
}

// report adds up the uses of what has the same name.
type report[Name comparable] struct {
	order  []Name
	byName map[Name]usage
}

func (r *report[Name]) hasRoom(name Name) bool {
	_, isThere := r.byName[name]
	return isThere || len(r.order) < maxReported
}

func (r *report[Name]) add(name Name, count uint32, ago time.Duration) {
	if r.byName == nil {
		r.byName = map[Name]usage{}
	}
	before, isThere := r.byName[name]
	if !isThere {
		r.order = append(r.order, name)
		before.ago = farthest
	}
	sum := min(uint64(before.count)+uint64(count), math.MaxUint32)
	r.byName[name] = usage{count: uint32(sum), ago: min(before.ago, max(ago, 0))}
}
