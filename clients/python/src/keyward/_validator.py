"""Judges texts in this process, from threads."""

import concurrent.futures
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyward.rpc.status_pb2 import Status
from keyward.token.v1.token_service_pb2 import ValidateTokenRequest, ValidateTokenResponse

from ._client import Client
from ._forks import after_fork
from ._holding import Who, now
from ._memory.memory import MAX_NAMED, Judge
from ._memory.verdict import UNKNOWN, Verdict, verdict_of
from ._streams import BaseStreams, Streams
from ._texts import TextKeys, bytes_of, checked_scopes, digest_of

VALIDATE = "/keyward.token.v1.TokenService/ValidateToken"
LOOK_UP = 2.0
"""How many seconds the answer to a look-up may take before the question is asked by a call of its own."""
MAX_LOOK_UPS = 2_000
"""More look-ups at a time are made by calls of their own."""

S = TypeVar("S", bound=BaseStreams)


@dataclass(slots=True)
class Counts:
    """How often verdicts were given in this process, by where they came from."""

    memory: int = 0
    look_up: int = 0
    """By the stream that the memory is kept right by."""
    call: int = 0
    """By a call of its own: there was no lease."""


class BaseValidator(Generic[S]):
    """What validators for threads and for asyncio have in common."""

    def __init__(self, who: Who) -> None:
        self._who = who
        self._begin_anew()
        after_fork(self._begin_anew)

    @property
    def is_leased(self) -> bool:
        """Whether memory answers at present."""
        with self._streams.lock:
            return self._streams.holding.memory.is_leased(now())

    @property
    def size(self) -> int:
        """Tokens that are held."""
        return self._streams.holding.memory.size

    @property
    def counts(self) -> Counts:
        return self._counts

    def validate_cached(self, text: str, scopes: Iterable[str] = ()) -> Verdict | None:
        """Judges without waiting; None if memory may not, or cannot, tell."""
        data = bytes_of(text)
        return UNKNOWN if data is None else self._judge(self._keys.of(data), checked_scopes(scopes))

    def _new_streams(self) -> S:
        raise NotImplementedError

    def _begin_anew(self) -> object:
        before: S | None = getattr(self, "_streams", None)
        if before is not None:
            before.abandon()
        self._streams = self._new_streams()
        self._keys = TextKeys()
        self._counts = Counts()
        return before

    def _judge(self, key: bytes, scopes: tuple[str, ...]) -> Verdict | None:
        streams = self._streams
        memory = streams.holding.memory
        with streams.lock:
            entry = memory.entry_of(key)
            if entry is None:
                return None
            verdict = memory.judge(entry, scopes, now())
            if verdict is not None:
                self._counts.memory += 1
            return verdict

    def _looked_up(self, judge: Judge, scopes: tuple[str, ...]) -> Verdict:
        with self._streams.lock:
            self._counts.look_up += 1
            return judge(scopes)


class Validator(BaseValidator[Streams]):
    """Judges texts in this process. No verdict contradicts a change that was complete before it was asked for.

    Threads may share it, and so may processes that fork: each has a memory of its own, from its first verdict on. The client's token
    needs the scope `keyward.tokens.cache`; with `keyward.tokens.validate` alone every verdict is a call.
    """

    def __init__(self, client: Client, *, label: str = "python", max_entries: int = MAX_NAMED) -> None:
        """Raises ValueError if an option is out of its range.

        label: what people call this program, in metrics and `keyward status`: 1 to 63 of `[A-Za-z0-9_.:/-]`.
        max_entries: tokens to hold at most, 1 to 10000. The replica may set a lower limit.
        """
        self._transport = client.transport
        super().__init__(Who(label, max_entries))

    def validate(self, text: str, scopes: Iterable[str] = (), *, timeout: float | None = None) -> Verdict:
        """Gives the verdict on a text, which must hold all of `scopes`, at most 64, to pass.

        timeout: seconds that asking the service may take; if not given, what the client says.

        Raises KeywardError if nobody can tell; that is never a verdict.
        """
        data = bytes_of(text)
        if data is None:
            return UNKNOWN
        needed = checked_scopes(scopes)
        key = self._keys.of(data)
        verdict = self._judge(key, needed)
        return self._ask(text, data, key, needed, timeout) if verdict is None else verdict

    def close(self) -> None:
        """Forgets everything. The client stays open."""
        self._streams.close()

    def _new_streams(self) -> Streams:
        return Streams(self._transport, self._who)

    def _ask(
        self, text: str, data: bytes, key: bytes, scopes: tuple[str, ...], timeout: float | None
    ) -> Verdict:
        """Asks a replica: by the stream, so that the answer is held, or by a call."""
        began = time.monotonic()
        answer = self._look_up(data, key, LOOK_UP if timeout is None else min(LOOK_UP, timeout))
        if callable(answer):
            return self._looked_up(answer, scopes)
        left = None if timeout is None else max(timeout - (time.monotonic() - began), 0.001)
        request = ValidateTokenRequest(token=text, required_scopes=scopes)
        response = self._transport.unary(VALIDATE, request, ValidateTokenResponse, left)
        with self._streams.lock:
            self._counts.call += 1
        return verdict_of(response)

    def _look_up(self, data: bytes, key: bytes, seconds: float) -> "Judge | Status | None":
        streams = self._streams
        answer: concurrent.futures.Future[Judge | Status | None] = concurrent.futures.Future()
        with streams.lock:
            streams.start()
            at = now()
            session = streams.holding.session(at)
            memory = streams.holding.memory
            if session is None or memory.looking_up >= MAX_LOOK_UPS:
                return None
            asked = memory.look_up(session.number, key, lambda: digest_of(data), answer.set_result, at)
            if asked is not None:
                streams.send(session, asked)
        try:
            return answer.result(seconds)
        except concurrent.futures.TimeoutError:
            return None
