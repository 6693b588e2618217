"""Judges texts in this process, from threads."""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyward.rpc.status_pb2 import Status
from keyward.token.v1.token_service_pb2 import ValidateTokenRequest, ValidateTokenResponse

from ._bound import B, BaseBoundText, BoundTexts
from ._client import Client
from ._errors import KeywardError
from ._forks import after_fork
from ._holding import Who, now
from ._memory.entries import Entry
from ._memory.memory import MAX_NAMED, Forgotten, Judge, VerdictMemory
from ._memory.verdict import UNKNOWN, Verdict, verdict_of
from ._streams import BaseStreams, Streams
from ._texts import TextKeys, bytes_of, checked_scopes, digest_of

VALIDATE = "/keyward.token.v1.TokenService/ValidateToken"
LOOK_UP = 2.0
"""How many seconds the answer to a look-up may take before the question is asked by a call of its own."""
MAX_LOOK_UPS = 2_000
"""More look-ups at a time are made by calls of their own."""
_MAX_JUDGING = 8
"""Threads that judge bound texts again at the same time."""

_logger = logging.getLogger("keyward")

S = TypeVar("S", bound=BaseStreams)


@dataclass(slots=True)
class Counts:
    """How often verdicts were given in this process, by where they came from."""

    memory: int = 0
    look_up: int = 0
    """By the stream that the memory is kept right by."""
    call: int = 0
    """By a call of its own: there was no lease."""


class BaseValidator(Generic[S, B]):
    """What validators for threads and for asyncio have in common."""

    def __init__(self, who: Who, on_revoked: Callable[[B, Verdict], object] | None) -> None:
        self._who = who
        self._on_revoked = on_revoked
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
        bound: BoundTexts[B] | None = getattr(self, "_bound", None)
        self._bound: BoundTexts[B] = BoundTexts(self._keys, () if bound is None else bound.all())
        self._counts = Counts()
        return before

    def _judge_bound(self, bound: B, scopes: tuple[str, ...]) -> Verdict | None:
        """The verdict on a bound text by what is held; None if memory may not, or cannot, tell."""
        if bound.data is None:
            return UNKNOWN
        streams = self._streams
        memory = streams.holding.memory
        with streams.lock:
            return self._judge_entry(memory, bound.entry_in(memory, self._keys), scopes)

    def _release(self, bound: B) -> bool:
        """Tells whether it was bound until now, and somebody is told of it."""
        with self._streams.lock:
            return self._bound.remove(bound)

    def _forget_bound(self) -> None:
        with self._streams.lock:
            self._bound = BoundTexts(self._keys)

    def _remember(self, bound: B) -> B:
        """Only who is told of them has to know which are bound."""
        if self._on_revoked is not None and bound.data is not None:
            with self._streams.lock:
                self._bound.add(bound)
        return bound

    def _judge(self, key: bytes, scopes: tuple[str, ...]) -> Verdict | None:
        streams = self._streams
        memory = streams.holding.memory
        with streams.lock:
            return self._judge_entry(memory, memory.entry_of(key), scopes)

    def _judge_entry(
        self, memory: VerdictMemory, entry: Entry | None, scopes: tuple[str, ...]
    ) -> Verdict | None:
        verdict = None if entry is None else memory.judge(entry, scopes, now())
        if verdict is not None:
            self._counts.memory += 1
        return verdict

    def _looked_up(self, judge: Judge, scopes: tuple[str, ...]) -> Verdict:
        with self._streams.lock:
            self._counts.look_up += 1
            return judge(scopes)


class BoundText(BaseBoundText):
    """A text that a connection presents again and again: it is hashed once. Release it when the connection ends."""

    def __init__(self, validator: "Validator", text: str) -> None:
        super().__init__(text)
        self._validator = validator

    def validate(self, scopes: Iterable[str] = (), *, timeout: float | None = None) -> Verdict:
        """As that of the validator."""
        return self._validator._validate_bound(self, checked_scopes(scopes), timeout)

    def validate_cached(self, scopes: Iterable[str] = ()) -> Verdict | None:
        """As that of the validator."""
        return self._validator._judge_bound(self, checked_scopes(scopes))

    def release(self) -> None:
        """Forgets that the text was bound: `on_revoked` is not told of it any more."""
        self._validator._release(self)


class Validator(BaseValidator[Streams, BoundText]):
    """Judges texts in this process. No verdict contradicts a change that was complete before it was asked for.

    Threads may share it, and so may processes that fork: each has a memory of its own, from its first verdict on. The client's token
    needs the scope `keyward.tokens.cache`; with `keyward.tokens.validate` alone every verdict is a call.
    """

    def __init__(
        self,
        client: Client,
        *,
        label: str = "python",
        max_entries: int = MAX_NAMED,
        on_revoked: Callable[[BoundText, Verdict], object] | None = None,
    ) -> None:
        """Raises ValueError if an option is out of its range.

        label: what people call this program, in metrics and `keyward status`: 1 to 63 of `[A-Za-z0-9_.:/-]`.
        max_entries: tokens to hold at most, 1 to 10000. The replica may set a lower limit.
        on_revoked: is told of each bound text that does not pass any more, as soon as that is known, and once: to end the connection that
            it was bound for. Scopes are not looked at. Threads of the validator call it.
        """
        self._transport = client.transport
        super().__init__(Who(label, max_entries), on_revoked)

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

    def bind(self, text: str) -> BoundText:
        """Remembers a text that a connection presents again and again. Release it when the connection ends."""
        return self._remember(BoundText(self, text))

    def close(self) -> None:
        """Forgets everything. The client stays open."""
        self._forget_bound()
        self._due.clear()
        self._streams.close()

    def _new_streams(self) -> Streams:
        streams = Streams(self._transport, self._who)
        streams.on_forgotten = self._forgotten
        return streams

    def _begin_anew(self) -> object:
        # Bound texts that are to be judged again, and how many threads do so.
        self._due: dict[BoundText, None] = {}
        self._judging = 0
        return super()._begin_anew()

    def _validate_bound(self, bound: BoundText, scopes: tuple[str, ...], timeout: float | None) -> Verdict:
        verdict = self._judge_bound(bound, scopes)
        if verdict is not None or bound.data is None:
            return verdict or UNKNOWN
        return self._ask(bound.text, bound.data, bound.key_by(self._keys), scopes, timeout)

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

    def _forgotten(self, forgotten: Forgotten) -> None:
        """Judges those bound texts again that may not pass any more. The stream's thread does not wait for it."""
        with self._streams.lock:
            self._due |= dict.fromkeys(self._bound.of(forgotten.entries))
            missing = min(len(self._due), _MAX_JUDGING) - self._judging
            self._judging += max(missing, 0)
        for _ in range(missing):
            threading.Thread(target=self._judge_due, name="keyward-bound", daemon=True).start()

    def _judge_due(self) -> None:
        while True:
            with self._streams.lock:
                if not self._due:
                    self._judging -= 1
                    return
                bound, _ = self._due.popitem()
            self._judge_again(bound)

    def _judge_again(self, bound: BoundText) -> None:
        try:
            verdict = bound.validate()
        except KeywardError:
            # Nobody can tell. The next one who asks will be told so.
            return
        if verdict.valid or not self._release(bound) or self._on_revoked is None:
            return
        try:
            self._on_revoked(bound, verdict)
        except Exception:
            _logger.exception("on_revoked failed")
