"""What a client holds of tokens."""

from collections import OrderedDict
from collections.abc import Callable

from keyward.token.v1.hold_verdicts_pb2 import HoldFact, HoldInvalidation, HoldOwned, HoldUse

from .moment import Moment, duration
from .verdict import Principal, Verdict, acceptance, cover_all, inactivity, refusal

_MAX_RELEASED = 10_000
"""Handles that a renewal takes at most."""
_MAX_REPORTED = 1_000
"""Keys that a renewal reports at most."""


class Entry:
    """What a client holds of one text."""

    __slots__ = (
        "_refused",
        "accepted",
        "expires",
        "handle",
        "is_held",
        "key",
        "key_id",
        "lacking",
        "last_used",
        "owner",
        "stream",
        "uses",
        "was_used",
    )

    def __init__(self, key: bytes, fact: HoldFact, owner: Principal, stream: int, expires: Moment) -> None:
        self.key = key
        """The salted hash of the text."""
        self.handle = fact.handle
        self.key_id = fact.key_id
        self.owner = owner
        """Whose the token is; shared by all entries of the owner."""
        self.stream = stream
        """The stream on which it was learned: it answers under the lease of that stream, or of one opened since."""
        self.expires = expires
        self.is_held = True
        """False once it is forgotten, for those who remember the entry."""
        self.was_used = False
        """Whether it answered since the oldest entry was last looked for."""
        self.uses = 0
        """How often it let pass since the last report, and when the last time was by the monotonic clock."""
        self.last_used = 0
        reason = inactivity(fact)
        self._refused = None if reason is None else refusal(reason, fact)
        self.accepted = acceptance(fact, owner)
        self.lacking = refusal("INSUFFICIENT_SCOPE", fact)

    def judge(self, scopes: tuple[str, ...]) -> Verdict:
        """The verdict on a text whose time is not over."""
        if self._refused is not None:
            return self._refused
        return self.accepted if not scopes or cover_all(self.accepted.scopes, scopes) else self.lacking


class Entries:
    """Those that a client holds, of a bounded number: those that were not used for long make room."""

    def __init__(self, most: int) -> None:
        # In the order in which they came, or were last found in use when room was made.
        self.by_key: OrderedDict[bytes, Entry] = OrderedDict()
        self._by_handle: dict[int, Entry] = {}
        # With how many entries there are of each.
        self._owners: dict[int, tuple[Principal, int]] = {}
        # Handles, by keys, that the client has let go of by itself since the last renewal.
        self._released: OrderedDict[bytes, int] = OrderedDict()
        self._most = most

    def limit(self, most: int) -> None:
        self._most = most
        self._make_room()

    def owner_of(self, principal: Principal) -> Principal:
        """The one object of an owner that all entries share as long as it says the same."""
        held = self._owners.get(principal.user_profile_id)
        return held[0] if held is not None and held[0] == principal else principal

    def add(self, entry: Entry) -> None:
        for other in (self.by_key.get(entry.key), self._by_handle.get(entry.handle)):
            if other is not None:
                self.forget(other)
        self.by_key[entry.key] = entry
        self._by_handle[entry.handle] = entry
        _, number = self._owners.get(entry.owner.user_profile_id, (None, 0))
        self._owners[entry.owner.user_profile_id] = (entry.owner, number + 1)
        self._released.pop(entry.key, None)
        self._make_room()

    def forget(self, entry: Entry) -> None:
        if not entry.is_held:
            return
        entry.is_held = False
        del self.by_key[entry.key]
        if self._by_handle.get(entry.handle) is entry:
            del self._by_handle[entry.handle]
        owner, number = self._owners[entry.owner.user_profile_id]
        if number == 1:
            del self._owners[entry.owner.user_profile_id]
        else:
            self._owners[entry.owner.user_profile_id] = (owner, number - 1)

    def release(self, entry: Entry) -> None:
        """Forgets an entry that the replica still takes for held."""
        self.forget(entry)
        self._released[entry.key] = entry.handle
        if len(self._released) > _MAX_RELEASED:
            self._released.popitem(last=False)

    def take_released(self, is_looked_up: Callable[[bytes], bool]) -> list[int]:
        """What is to be told to the replica: not what is being looked up, which it may have registered again."""
        released = [
            handle
            for key, handle in self._released.items()
            if not is_looked_up(key) and handle not in self._by_handle
        ]
        self._released.clear()
        return released

    def clear(self) -> list[Entry]:
        """Forgets all, and gives them."""
        entries = list(self.by_key.values())
        for entry in entries:
            self.forget(entry)
        self._released.clear()
        return entries

    def invalidate(self, told: HoldInvalidation) -> list[Entry]:
        """Forgets what is meant, and gives it."""
        if told.everything:
            return self.clear()
        meant = [self._by_handle[handle] for handle in set(told.handles) if handle in self._by_handle]
        profiles, users, accounts = set(told.user_profile_ids), set(told.user_ids), set(told.account_ids)
        if profiles or users or accounts:
            meant += [
                entry
                for entry in self.by_key.values()
                if entry.owner.user_profile_id in profiles
                or entry.owner.user_id in users
                or entry.owner.account_id in accounts
            ]
        for entry in meant:
            self.forget(entry)
        return meant

    def owned(self) -> list[HoldOwned]:
        """The handles of all entries by owner."""
        by_profile: dict[int, HoldOwned] = {}
        for entry in self.by_key.values():
            owner = entry.owner
            owned = by_profile.setdefault(
                owner.user_profile_id,
                HoldOwned(
                    user_profile_id=owner.user_profile_id, user_id=owner.user_id, account_id=owner.account_id
                ),
            )
            owned.handles.append(entry.handle)
        return list(by_profile.values())

    def _make_room(self) -> None:
        while len(self.by_key) > self._most:
            key, entry = next(iter(self.by_key.items()))
            if entry.was_used:
                entry.was_used = False
                self.by_key.move_to_end(key)
            else:
                self.release(entry)


class Uses:
    """How often tokens passed since that was last told."""

    def __init__(self) -> None:
        self._used: list[Entry] = []

    def add(self, entry: Entry, monotonic: int) -> None:
        entry.was_used = True
        entry.last_used = monotonic
        entry.uses += 1
        if entry.uses == 1:
            self._used.append(entry)

    def take(self, monotonic: int) -> list[HoldUse]:
        """What is to be told now. The rest is told with the next renewal."""
        by_key: dict[str, tuple[int, int]] = {}
        taken = 0
        for entry in self._used:
            count, ago = by_key.get(entry.key_id, (0, monotonic))
            if count == 0 and len(by_key) == _MAX_REPORTED:
                break
            by_key[entry.key_id] = (count + entry.uses, min(ago, max(monotonic - entry.last_used, 0)))
            entry.uses = 0
            taken += 1
        self._used = self._used[taken:]
        return [
            HoldUse(key_id=key_id, count=count, last_used_ago=duration(ago))
            for key_id, (count, ago) in by_key.items()
        ]
