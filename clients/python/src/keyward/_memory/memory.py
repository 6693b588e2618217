"""What one client holds, and under which lease."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from keyward.rpc.status_pb2 import Status
from keyward.token.v1.hold_verdicts_pb2 import (
    HoldAcknowledgement,
    HoldFact,
    HoldFacts,
    HoldGrant,
    HoldInvalidation,
    HoldOpen,
    HoldOpened,
    HoldRenewal,
    HoldText,
)

from .entries import Entries, Entry, Uses
from .lease import Lease
from .moment import NEVER, Moment, nanoseconds
from .overtaking import Overtaking
from .shelf import SecretShelf
from .verdict import UNKNOWN, Verdict, principal_of, refusal

MAX_NAMED = 10_000
"""What a stream may name when it is opened."""

Judge = Callable[[tuple[str, ...]], Verdict]
"""Judges a text that was looked up, by the scopes that are required."""

Settle = Callable[["Judge | Status | None"], None]
"""Takes the answer to a look-up: how to judge, or the error with which it failed; None if the stream ended before."""


class Forgotten(NamedTuple):
    """What memory had to forget because it was told to."""

    entries: Sequence[Entry] = ()
    secrets: Sequence[str] = ()
    """Keys of values of secrets."""


@dataclass(slots=True, eq=False)
class _LookUp:
    key: bytes
    stream: int
    sent: Moment
    since: int
    digest: Callable[[], bytes]
    settles: list[Settle]
    later: list[Settle] = field(default_factory=list)
    """Those who have asked since it was sent: what it brings may be from before they did."""


class VerdictMemory:
    """Is told of every message of its streams, in their order, and says what to send.

    Texts are known to it by a key, which nobody else can make from the text, and by nothing else.
    """

    def __init__(self, max_entries: int = MAX_NAMED, max_secrets: int = 0) -> None:
        self._lease = Lease()
        self._max_entries = min(max_entries, MAX_NAMED)
        self._entries = Entries(self._max_entries)
        self.secrets = SecretShelf(max_secrets, self._lease)
        self._uses = Uses()
        self._overtaking = Overtaking()
        self._look_ups: dict[int, _LookUp] = {}
        # The last look-up of each text that is under way.
        self._by_key: dict[bytes, _LookUp] = {}
        self._ids = 0

    def is_leased(self, now: Moment) -> bool:
        """Whether a lease is held: whether anything is answered from memory."""
        return self._lease.is_held(now)

    @property
    def size(self) -> int:
        """Tokens that are held."""
        return len(self._entries.by_key)

    @property
    def looking_up(self) -> int:
        """Look-ups that are not answered."""
        return len(self._look_ups)

    def open_stream(self) -> tuple[int, HoldOpen]:
        """Begins a stream, and gives what its first message says of what is held."""
        position = self._lease.position
        # Up to where they are right is not known: that stream ended before it granted anything.
        for entry in list(self._entries.by_key.values()):
            if entry.stream > self._lease.stream:
                self._entries.forget(entry)
        if position is None:
            self._entries.clear()
        # What is not named need not be released.
        self._entries.take_released(lambda _: True)
        secret_ids = self.secrets.named(position is None)
        tokens = self._entries.owned()
        is_holding = bool(tokens or secret_ids)
        opening = HoldOpen(position=position if is_holding else None, tokens=tokens, secret_ids=secret_ids)
        return self._lease.open(), opening

    def opened(self, terms: HoldOpened) -> Forgotten:
        """Takes the replica's terms, and gives what had to be forgotten."""
        forgotten = Forgotten() if terms.resumed else self._clear()
        self._entries.limit(min(self._max_entries, terms.max_entries))
        self.secrets.limit(terms.max_secrets)
        return forgotten

    def look_up(
        self, stream: int, key: bytes, digest: Callable[[], bytes], settle: Settle, now: Moment
    ) -> HoldText | None:
        """Begins to look a text up on a stream; `settle` is told the answer.

        Gives what to send, which is nothing while one that was sent before is not answered.
        """
        before = self._by_key.get(key)
        if before is not None and before.stream == stream:
            before.later.append(settle)
            return None
        return self._begin(stream, key, digest, [settle], now)

    def facts(self, stream: int, facts: HoldFacts, now: Moment) -> list[HoldText]:
        """Takes what was looked up, keeps what may be kept, and answers those who asked.

        Gives what to send for those who asked later, where that was not kept.
        """
        again: list[HoldText] = []
        for fact in facts.facts:
            look_up = self._look_ups.get(fact.id)
            if look_up is None or look_up.stream != stream:
                continue
            answer = self._learn(look_up, fact, now)
            key, later = look_up.key, look_up.later
            held = self._entries.by_key.get(key)
            is_held = held is not None and self._lease.covers(held.stream, now)
            self._settle(fact.id, look_up, answer)
            if later and not is_held:
                again.append(self._begin(stream, key, look_up.digest, later, now))
            else:
                for settle in later:
                    settle(answer)
        return again

    def renewal(self, stream: int, now: Moment) -> HoldRenewal:
        """Asks for another lease; its time counts from now."""
        return HoldRenewal(
            number=self._lease.renew(stream, now),
            released=self._entries.take_released(self._by_key.__contains__),
            uses=self._uses.take(now.monotonic),
            secret_uses=self.secrets.take_uses(now.monotonic),
        )

    def grant(self, stream: int, grant: HoldGrant) -> bool:
        """Takes the answer to a renewal, and tells whether a lease was granted."""
        return self._lease.granted(stream, grant)

    def invalidate(self, stream: int, told: HoldInvalidation) -> tuple[HoldAcknowledgement, Forgotten]:
        """Forgets what it is told to. Gives what to acknowledge, and what was forgotten."""
        self._overtaking.add(told)
        forgotten = Forgotten(self._entries.invalidate(told), self.secrets.invalidate(told))
        if told.HasField("position"):
            self._lease.advance(stream, told.position)
        self._forget_overtakings()
        return HoldAcknowledgement(number=told.number), forgotten

    def stream_ended(self, stream: int) -> None:
        """Tells that nothing more comes on a stream. A lease that it granted goes on to its own end."""
        self._lease.end(stream)
        for number, look_up in list(self._look_ups.items()):
            if look_up.stream == stream:
                self._give_up(number, look_up)
        self.secrets.stream_ended(stream)

    def entry_of(self, key: bytes) -> Entry | None:
        """What is held of a text, to be judged by."""
        return self._entries.by_key.get(key)

    def judge(self, entry: Entry, scopes: tuple[str, ...], now: Moment) -> Verdict | None:
        """The verdict by what is held; None if memory may not, or cannot, tell."""
        if not entry.is_held or not self._lease.covers(entry.stream, now):
            return None
        if entry.expires.is_over(now):
            self._entries.release(entry)
            return None
        verdict = entry.judge(scopes)
        if verdict.valid:
            self._uses.add(entry, now.monotonic)
        return verdict

    def close(self) -> None:
        """Forgets everything, and the lease."""
        self._clear()
        for number, look_up in list(self._look_ups.items()):
            self._give_up(number, look_up)

    def _begin(
        self, stream: int, key: bytes, digest: Callable[[], bytes], settles: list[Settle], now: Moment
    ) -> HoldText:
        self._ids += 1
        look_up = _LookUp(key, stream, now, self._overtaking.now, digest, settles)
        self._look_ups[self._ids] = look_up
        self._by_key[key] = look_up
        return HoldText(id=self._ids, digest=digest())

    def _clear(self) -> Forgotten:
        self._lease.drop()
        return Forgotten(self._entries.clear(), self.secrets.clear())

    def _learn(self, look_up: _LookUp, fact: HoldFact, now: Moment) -> Judge | Status:
        if fact.HasField("error"):
            return fact.error
        if not fact.known or not fact.HasField("principal"):
            unknown = refusal("UNKNOWN", fact) if fact.stale else UNKNOWN
            return lambda _: unknown
        expires = NEVER
        if fact.HasField("expires_in"):
            expires = look_up.sent.after(nanoseconds(fact.expires_in))
        if expires.is_over(now):
            expired = refusal("EXPIRED", fact)
            return lambda _: expired
        owner = self._entries.owner_of(principal_of(fact.principal))
        entry = Entry(look_up.key, fact, owner, look_up.stream, expires)
        if self._may_keep(look_up, fact):
            self._entries.add(entry)

        def judge(scopes: tuple[str, ...]) -> Verdict:
            verdict = entry.judge(scopes)
            if verdict.valid:
                self._uses.add(entry, now.monotonic)
            return verdict

        return judge

    def _may_keep(self, look_up: _LookUp, fact: HoldFact) -> bool:
        """What comes on a stream after another one was opened is not named to that one's replica."""
        is_newest = look_up.stream == self._lease.newest
        is_overtaken = self._overtaking.may_have_meant(look_up.since, fact.handle)
        return fact.keep and not fact.stale and is_newest and not is_overtaken

    def _settle(self, number: int, look_up: _LookUp, answer: Judge | Status | None) -> None:
        del self._look_ups[number]
        if self._by_key.get(look_up.key) is look_up:
            del self._by_key[look_up.key]
        self._forget_overtakings()
        for settle in look_up.settles:
            settle(answer)

    def _give_up(self, number: int, look_up: _LookUp) -> None:
        self._settle(number, look_up, None)
        for settle in look_up.later:
            settle(None)

    def _forget_overtakings(self) -> None:
        if not self._look_ups:
            self._overtaking.nothing_under_way()
