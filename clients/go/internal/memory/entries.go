package memory

import (
	"container/list"
	"slices"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// maxReleased is how many handles a renewal takes at most.
const maxReleased = 10_000

// owned is whose entries some are, as long as there are any.
type owned struct {
	principal *Principal
	entries   int
}

// entries are those that a client holds, of a bounded number: those that were not used for long make room.
type entries struct {
	max int
	// order is that in which they came, or were last found in use when room was made; the oldest is in front.
	order    *list.List
	byKey    map[Key]*Entry
	byHandle map[uint64]*Entry
	// owners are by the number of the user profile.
	owners map[int64]*owned
	// released are handles that the client has let go of by itself since the last renewal.
	released map[Key]uint64
}

func newEntries() entries {
	return entries{
		order:    list.New(),
		byKey:    map[Key]*Entry{},
		byHandle: map[uint64]*Entry{},
		owners:   map[int64]*owned{},
		released: map[Key]uint64{},
	}
}

// all gives the entries, the oldest first.
func (e *entries) all() []*Entry {
	all := make([]*Entry, 0, e.order.Len())
	for place := e.order.Front(); place != nil; place = place.Next() {
		all = append(all, place.Value.(*Entry))
	}
	return all
}

func (e *entries) limit(most int) {
	e.max = most
	e.makeRoom()
}

// ownerOf gives the one principal that all entries of an owner share as long as it says the same.
func (e *entries) ownerOf(principal Principal) *Principal {
	if held := e.owners[principal.UserProfileID]; held != nil && *held.principal == principal {
		return held.principal
	}
	return &principal
}

func (e *entries) add(entry *Entry) {
	for _, other := range []*Entry{e.byKey[entry.Key], e.byHandle[entry.handle]} {
		if other != nil {
			e.forget(other)
		}
	}
	entry.place = e.order.PushBack(entry)
	e.byKey[entry.Key] = entry
	e.byHandle[entry.handle] = entry
	owner := e.owners[entry.owner.UserProfileID]
	if owner == nil {
		owner = &owned{}
		e.owners[entry.owner.UserProfileID] = owner
	}
	owner.principal = entry.owner
	owner.entries++
	delete(e.released, entry.Key)
	e.makeRoom()
}

func (e *entries) forget(entry *Entry) {
	if entry.place == nil {
		return
	}
	e.order.Remove(entry.place)
	entry.place = nil
	delete(e.byKey, entry.Key)
	delete(e.byHandle, entry.handle)
	owner := e.owners[entry.owner.UserProfileID]
	owner.entries--
	if owner.entries == 0 {
		delete(e.owners, entry.owner.UserProfileID)
	}
}

// release forgets an entry that the replica still takes for held. If there are too many of these, the replica goes on
// telling of it, which does no harm.
func (e *entries) release(entry *Entry) {
	if entry.place == nil {
		return
	}
	e.forget(entry)
	if len(e.released) < maxReleased {
		e.released[entry.Key] = entry.handle
	}
}

// takeReleased gives what is to be told to the replica: not what is being looked up, which it may have registered again.
func (e *entries) takeReleased(isLookedUp func(Key) bool) []uint64 {
	var handles []uint64
	for key, handle := range e.released {
		if !isLookedUp(key) && e.byHandle[handle] == nil {
			handles = append(handles, handle)
		}
	}
	clear(e.released)
	slices.Sort(handles)
	return handles
}

// clear forgets all, and gives their keys.
func (e *entries) clear() []Key {
	keys := e.forgetAll(e.all())
	clear(e.released)
	return keys
}

// invalidate forgets what is meant, and gives the keys of it.
func (e *entries) invalidate(invalidation *tokenv1.HoldInvalidation) []Key {
	if invalidation.GetEverything() {
		return e.clear()
	}
	var meant []*Entry
	for _, handle := range invalidation.GetHandles() {
		if entry := e.byHandle[handle]; entry != nil {
			meant = append(meant, entry)
		}
	}
	profiles, users, accounts := invalidation.GetUserProfileIds(), invalidation.GetUserIds(), invalidation.GetAccountIds()
	if len(profiles)+len(users)+len(accounts) > 0 {
		isMeant := ownersOf(profiles, users, accounts)
		for _, entry := range e.all() {
			if isMeant(entry.owner) {
				meant = append(meant, entry)
			}
		}
	}
	return e.forgetAll(meant)
}

// named lists the handles of all entries by owner, as another replica is told of them.
func (e *entries) named() []*tokenv1.HoldOwned {
	var owned []*tokenv1.HoldOwned
	byProfile := map[int64]*tokenv1.HoldOwned{}
	for _, entry := range e.all() {
		owner := entry.owner
		of := byProfile[owner.UserProfileID]
		if of == nil {
			of = &tokenv1.HoldOwned{
				UserProfileId: owner.UserProfileID,
				UserId:        owner.UserID,
				AccountId:     owner.AccountID,
			}
			byProfile[owner.UserProfileID] = of
			owned = append(owned, of)
		}
		of.Handles = append(of.Handles, entry.handle)
	}
	return owned
}

func (e *entries) forgetAll(meant []*Entry) []Key {
	var keys []Key
	for _, entry := range meant {
		if entry.place == nil {
			continue
		}
		e.forget(entry)
		keys = append(keys, entry.Key)
	}
	return keys
}

// makeRoom passes over each entry once that was used since it did so before.
func (e *entries) makeRoom() {
	for e.order.Len() > e.max {
		oldest := e.order.Front()
		entry := oldest.Value.(*Entry)
		if entry.wasUsed.Swap(false) {
			e.order.MoveToBack(oldest)
		} else {
			e.release(entry)
		}
	}
}

// ownersOf tells whether an owner is among those of three lists.
func ownersOf(profiles, users, accounts []int64) func(*Principal) bool {
	setOf := func(ids []int64) map[int64]bool {
		set := make(map[int64]bool, len(ids))
		for _, id := range ids {
			set[id] = true
		}
		return set
	}
	ofProfiles, ofUsers, ofAccounts := setOf(profiles), setOf(users), setOf(accounts)
	return func(owner *Principal) bool {
		return ofProfiles[owner.UserProfileID] || ofUsers[owner.UserID] || ofAccounts[owner.AccountID]
	}
}
