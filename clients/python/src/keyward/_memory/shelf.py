"""What a client holds of secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field

from keyward.rpc.status_pb2 import Status
from keyward.secret.v1.secret_service_pb2 import AccessSecretRequest, AccessSecretResponse
from keyward.token.v1.hold_verdicts_pb2 import HoldAccess, HoldAccessed, HoldInvalidation, HoldSecretUse

from .lease import Lease
from .moment import NEVER, Moment, duration, nanoseconds
from .overtaking import Overtaking

_MAX_REPORTED = 1_000
"""Secrets that a renewal reports at most."""


@dataclass(frozen=True, slots=True)
class SecretValue:
    """One value of a secret."""

    secret_id: int
    version: int
    """Which version it is, from 1."""
    data: bytes = field(repr=False)
    """The value; a text is in UTF-8."""

    @property
    def text(self) -> str:
        """The value as text. Raises UnicodeDecodeError where it is none."""
        return self.data.decode()


SettleAccess = Callable[["SecretValue | Status | None"], None]
"""Takes a value, or the error with which asking for it failed; None if the stream ended before."""


def value_of(access: AccessSecretResponse) -> SecretValue:
    """Reads a value out of the answer to an access."""
    payload = access.payload
    data = payload.data if payload.HasField("data") else payload.text.encode()
    return SecretValue(access.secret_id, access.version, data)


@dataclass(slots=True)
class _Held:
    key: str
    secret_id: int
    version: int
    data: bytearray
    stream: int
    expires: Moment
    uses: int = 0
    last_used: int = 0


@dataclass(slots=True, eq=False)
class _Asked:
    key: str
    stream: int
    sent: Moment
    since: int
    request: AccessSecretRequest
    settles: list[SettleAccess]
    later: list[SettleAccess] = field(default_factory=list)
    """Those who have asked since it was sent: what it brings may be from before they did."""


class SecretShelf:
    """The values of secrets that a client holds, under the same lease and by the same rules as verdicts."""

    def __init__(self, most: int, lease: Lease) -> None:
        self._own_most = most
        self._most = most
        self._lease = lease
        self._held: dict[str, _Held] = {}
        self._asked: dict[int, _Asked] = {}
        self._by_key: dict[str, _Asked] = {}
        self._overtaking = Overtaking()
        self._ids = 0

    @property
    def asking(self) -> int:
        """Questions that are not answered."""
        return len(self._asked)

    def limit(self, most: int) -> None:
        """Takes how many values the replica lets the client hold."""
        self._most = min(self._own_most, most)
        self._make_room()

    def named(self, is_forgetting: bool) -> list[int]:
        """The secrets whose values are named to another replica; none is held any more if all are to be forgotten."""
        for held in list(self._held.values()):
            if is_forgetting or held.stream > self._lease.stream:
                self._forget(held)
        return list(dict.fromkeys(held.secret_id for held in self._held.values()))

    def access(
        self, stream: int, key: str, request: AccessSecretRequest, settle: SettleAccess, now: Moment
    ) -> HoldAccess | None:
        """Begins to ask for a value. Gives what to send: nothing while what was sent before is not answered."""
        before = self._by_key.get(key)
        if before is not None and before.stream == stream:
            before.later.append(settle)
            return None
        return self._begin(stream, key, request, [settle], now)

    def accessed(self, stream: int, answer: HoldAccessed, now: Moment) -> HoldAccess | None:
        """Takes what was asked for, keeps what may be kept, and answers those who asked.

        Gives what to send for those who asked later, where that was not kept.
        """
        asked = self._asked.get(answer.id)
        if asked is None or asked.stream != stream:
            return None
        result = self._learn(asked, answer)
        self._settle(answer.id, asked, result)
        if asked.later and self.get(asked.key, now) is None:
            return self._begin(stream, asked.key, asked.request, asked.later, now)
        for settle in asked.later:
            settle(result)
        return None

    def _begin(
        self, stream: int, key: str, request: AccessSecretRequest, settles: list[SettleAccess], now: Moment
    ) -> HoldAccess:
        self._ids += 1
        asked = _Asked(key, stream, now, self._overtaking.now, request, settles)
        self._asked[self._ids] = asked
        self._by_key[key] = asked
        return HoldAccess(id=self._ids, request=request)

    def _learn(self, asked: _Asked, answer: HoldAccessed) -> SecretValue | Status:
        if answer.WhichOneof("result") != "access":
            return answer.error
        value = value_of(answer.access)
        expires = NEVER
        if answer.HasField("expires_in"):
            expires = asked.sent.after(nanoseconds(answer.expires_in))
        if (
            answer.keep
            and not self._overtaking.may_have_meant(asked.since)
            and asked.stream == self._lease.newest
        ):
            before = self._held.get(asked.key)
            if before is not None:
                self._forget(before)
            self._held[asked.key] = _Held(
                asked.key, value.secret_id, value.version, bytearray(value.data), asked.stream, expires
            )
            self._make_room()
        return value

    def get(self, key: str, now: Moment) -> SecretValue | None:
        """A value that is held, as long as that may be."""
        held = self._held.get(key)
        if held is None or not self._lease.covers(held.stream, now):
            return None
        if held.expires.is_over(now):
            self._forget(held)
            return None
        held.uses += 1
        held.last_used = now.monotonic
        return SecretValue(held.secret_id, held.version, bytes(held.data))

    def holds(self, key: str) -> bool:
        """Whether a value is held, under a lease or not."""
        return key in self._held

    def invalidate(self, told: HoldInvalidation) -> list[str]:
        """Forgets what it is told to, and gives the keys of it."""
        self._overtaking.add(told)
        ids = set(told.secret_ids)
        meant = [
            held
            for held in self._held.values()
            if told.everything or told.all_secrets or held.secret_id in ids
        ]
        for held in meant:
            self._forget(held)
        self._forget_overtakings()
        return [held.key for held in meant]

    def take_uses(self, monotonic: int) -> list[HoldSecretUse]:
        """What is to be told to the replica."""
        by_secret: dict[int, tuple[int, int]] = {}
        for held in self._held.values():
            count, ago = by_secret.get(held.secret_id, (0, monotonic))
            if held.uses == 0 or (count == 0 and len(by_secret) == _MAX_REPORTED):
                continue
            by_secret[held.secret_id] = (count + held.uses, min(ago, max(monotonic - held.last_used, 0)))
            held.uses = 0
        return [
            HoldSecretUse(secret_id=secret_id, count=count, last_used_ago=duration(ago))
            for secret_id, (count, ago) in by_secret.items()
        ]

    def clear(self) -> list[str]:
        keys = list(self._held)
        for held in list(self._held.values()):
            self._forget(held)
        return keys

    def stream_ended(self, stream: int) -> None:
        for number, asked in list(self._asked.items()):
            if asked.stream == stream:
                self._settle(number, asked, None)
                for settle in asked.later:
                    settle(None)

    def _make_room(self) -> None:
        while len(self._held) > self._most:
            self._forget(next(iter(self._held.values())))

    def _forget(self, held: _Held) -> None:
        held.data[:] = bytes(len(held.data))
        del self._held[held.key]

    def _settle(self, number: int, asked: _Asked, answer: SecretValue | Status | None) -> None:
        del self._asked[number]
        if self._by_key.get(asked.key) is asked:
            del self._by_key[asked.key]
        self._forget_overtakings()
        for settle in asked.settles:
            settle(answer)

    def _forget_overtakings(self) -> None:
        if not self._asked:
            self._overtaking.nothing_under_way()
