"""How a client keeps its memory right: it holds a stream to some replica, and goes to another one where that ends.

As the memory, this neither waits nor sends. Threads and asyncio drive it alike, one call at a time.
"""

import re
import time
import uuid
from dataclasses import dataclass, field

import grpc

from keyward.token.v1.hold_verdicts_pb2 import HoldLeft, HoldText, HoldVerdictsRequest, HoldVerdictsResponse

from ._errors import KeywardError
from ._memory.memory import MAX_NAMED, Forgotten, VerdictMemory
from ._memory.moment import Moment, nanoseconds
from ._safety import backoff
from ._version import VERSION

PATH = "/keyward.token.v1.TokenService/HoldVerdicts"
MAX_TEXTS = 500
"""Texts in one message."""
OPENING = 10.0
"""How many seconds a stream may take until the replica has told its terms."""
LEAVING = 1.0
"""How many seconds a replica may take to end a stream that was left."""
LEFT = HoldVerdictsRequest(left=HoldLeft())

_SILENCE = 10_000_000_000
"""A stream that is not opened, or on which no renewal was answered, for so many nanoseconds is given up."""
_LABEL = re.compile(r"[A-Za-z0-9_.:/-]{1,63}\Z")
_REFUSED = 60.0
"""How many seconds a service is left alone that lets this caller hold nothing."""
_REFUSALS = {
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INVALID_ARGUMENT,
}
# The one goes on while the machine is suspended, where there is one that does.
_MONOTONIC: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_clock = time.clock_gettime_ns
_wall_clock = time.time_ns


def now() -> Moment:
    """The time by both clocks of this machine."""
    return Moment(_clock(_MONOTONIC), _wall_clock())


@dataclass(frozen=True, slots=True)
class Who:
    """What a client calls itself, and how much it holds."""

    label: str = "python"
    """What people call this program, in metrics and `keyward status`: 1 to 63 of `[A-Za-z0-9_.:/-]`."""
    max_entries: int = MAX_NAMED
    """Tokens to hold at most: 1 to 10000. The replica may set a lower limit."""
    max_secrets: int = 0
    """Values of secrets to hold at most, up to 1000."""

    def __post_init__(self) -> None:
        if not _LABEL.match(self.label):
            raise ValueError("label must be 1 to 63 characters of [A-Za-z0-9_.:/-]")
        if not 1 <= self.max_entries <= MAX_NAMED:
            raise ValueError(f"max_entries must be 1 to {MAX_NAMED}")
        if not 0 <= self.max_secrets <= 1000:
            raise ValueError("max_secrets must be 1 to 1000")


@dataclass(slots=True)
class Effects:
    """What is to be done because of a message."""

    replies: list[HoldVerdictsRequest | HoldText] = field(default_factory=list)
    forgotten: Forgotten = field(default_factory=Forgotten)
    """What had to be forgotten because the replica said so."""
    renews_every: float | None = None
    """The stream is open: a lease is to be asked for at once, and then every so many seconds."""
    is_granted: bool = False
    """A lease was granted on the stream that counts."""
    connects: bool = False
    """The replica asks to go to another one: a stream is to be opened there."""
    leaves: list["Session"] = field(default_factory=list)
    """Streams that are not needed any more."""


class Session:
    """One stream to one replica."""

    def __init__(
        self, memory: VerdictMemory, opening: HoldVerdictsRequest, number: int, began: Moment
    ) -> None:
        self._memory = memory
        self.number = number
        """As memory counts the streams."""
        self.first = opening
        """What is to be sent first."""
        self.is_open = False
        """Whether the replica has told its terms, so that it may be asked."""
        self._answered = began.monotonic

    def renewal(self, now: Moment) -> HoldVerdictsRequest | None:
        """Asks for a lease; its time counts from now. None if the replica is silent: the stream is to be given up."""
        if not self.is_open or self.is_silent(now):
            return None
        return HoldVerdictsRequest(renewal=self._memory.renewal(self.number, now))

    def is_silent(self, now: Moment) -> bool:
        return now.monotonic - self._answered > _SILENCE

    def answered(self, now: Moment) -> None:
        self._answered = now.monotonic


class Holding:
    """The memory of one process, with the streams that keep it right."""

    def __init__(self, who: Who) -> None:
        self.memory = VerdictMemory(who.max_entries, who.max_secrets)
        self._label = who.label
        self._client_id = str(uuid.uuid4())
        self._current: Session | None = None
        self._leaving: list[Session] = []
        self._failures = 0
        self.is_closed = False

    def session(self, now: Moment) -> Session | None:
        """The stream on which what is asked for may be kept; none while there is no lease."""
        session = self._current
        return session if session is not None and session.is_open and self.memory.is_leased(now) else None

    def begin(self, now: Moment) -> Session:
        """Begins a stream, which is the one that counts from now on."""
        number, opening = self.memory.open_stream()
        opening.client_id = self._client_id
        opening.label = self._label
        opening.agent = f"keyward-python/{VERSION}"
        self._current = Session(self.memory, HoldVerdictsRequest(open=opening), number, now)
        return self._current

    def take(self, session: Session, message: HoldVerdictsResponse, now: Moment) -> Effects:
        """Takes a message, in the order in which they come."""
        effects = Effects()
        kind = message.WhichOneof("message")
        if kind == "opened":
            session.is_open = True
            session.answered(now)
            effects.forgotten = self.memory.opened(message.opened)
            effects.renews_every = max(nanoseconds(message.opened.renew_every) / 1e9, 0.01)
        elif kind == "facts":
            effects.replies.extend(self.memory.facts(session.number, message.facts, now))
        elif kind == "accessed":
            again = self.memory.secrets.accessed(session.number, message.accessed, now)
            if again is not None:
                effects.replies.append(HoldVerdictsRequest(access=again))
        elif kind == "invalidation":
            acknowledgement, effects.forgotten = self.memory.invalidate(session.number, message.invalidation)
            effects.replies.append(HoldVerdictsRequest(acknowledgement=acknowledgement))
        elif kind == "grant":
            session.answered(now)
            if self.memory.grant(session.number, message.grant) and session is self._current:
                self._failures = 0
                effects.is_granted = True
                effects.leaves, self._leaving = self._leaving, []
        elif kind == "leave" and session is self._current and session not in self._leaving:
            self._leaving.append(session)
            effects.connects = not self.is_closed
        return effects

    def ended(self, session: Session | None, error: KeywardError | None) -> float | None:
        """Tells that nothing more comes on a stream, or that none could be begun.

        Gives after how many seconds another one is to be begun; None if there is another one already, or none is wanted.
        """
        if session is not None:
            self.memory.stream_ended(session.number)
            session.is_open = False
            if session in self._leaving:
                self._leaving.remove(session)
            if session is not self._current:
                return None
        self._current = None
        if self.is_closed:
            return None
        wait = _REFUSED if error is not None and error.code in _REFUSALS else backoff(self._failures)
        self._failures += 1
        return wait

    def close(self) -> list[Session]:
        """Forgets everything, and gives the streams that are not needed any more."""
        self.is_closed = True
        self.memory.close()
        return [*self._leaving, *([self._current] if self._current is not None else [])]
