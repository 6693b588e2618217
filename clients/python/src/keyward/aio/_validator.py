"""Judges texts in this process, from asyncio."""

import asyncio
import time
from collections.abc import Callable, Iterable

from keyward._bound import BaseBoundText
from keyward._errors import KeywardError
from keyward._holding import Who, now
from keyward._memory.memory import MAX_NAMED, Forgotten, Judge
from keyward._memory.verdict import UNKNOWN, Verdict, verdict_of
from keyward._texts import bytes_of, checked_scopes, digest_of
from keyward._validator import LOOK_UP, MAX_LOOK_UPS, VALIDATE, BaseValidator
from keyward.rpc.status_pb2 import Status
from keyward.token.v1.token_service_pb2 import ValidateTokenRequest, ValidateTokenResponse

from ._client import Client
from ._streams import Streams

_MAX_JUDGING = 100
"""Bound texts that are judged again at the same time."""


class BoundText(BaseBoundText):
    """A text that a connection presents again and again: it is hashed once. Release it when the connection ends."""

    def __init__(self, validator: "Validator", text: str) -> None:
        super().__init__(text)
        self._validator = validator

    async def validate(self, scopes: Iterable[str] = (), *, timeout: float | None = None) -> Verdict:
        """As that of the validator."""
        return await self._validator._validate_bound(self, checked_scopes(scopes), timeout)

    def validate_cached(self, scopes: Iterable[str] = ()) -> Verdict | None:
        """As that of the validator."""
        return self._validator._judge_bound(self, checked_scopes(scopes))

    def release(self) -> None:
        """Forgets that the text was bound: `on_revoked` is not told of it any more."""
        self._validator._release(self)


class Validator(BaseValidator[Streams, BoundText]):
    """Judges texts in this process. No verdict contradicts a change that was complete before it was asked for.

    It belongs to the event loop in which it is first used; after a fork the child's begins anew. The client's token needs the scope
    `keyward.tokens.cache`; with `keyward.tokens.validate` alone every verdict is a call.
    """

    def __init__(
        self,
        client: Client,
        *,
        label: str = "python",
        max_entries: int = MAX_NAMED,
        on_revoked: Callable[[BoundText, Verdict], object] | None = None,
    ) -> None:
        """Takes what keyward.Validator takes. Tasks of the event loop call `on_revoked`."""
        self._transport = client.transport
        super().__init__(Who(label, max_entries), on_revoked)

    async def validate(
        self, text: str, scopes: Iterable[str] = (), *, timeout: float | None = None
    ) -> Verdict:
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
        return await self._ask(text, data, key, needed, timeout) if verdict is None else verdict

    def bind(self, text: str) -> BoundText:
        """Remembers a text that a connection presents again and again. Release it when the connection ends."""
        return self._remember(BoundText(self, text))

    async def close(self) -> None:
        """Forgets everything. The client stays open."""
        self._forget_bound()
        for task in self._tasks:
            task.cancel()
        await self._streams.close()

    def _new_streams(self) -> Streams:
        streams = Streams(self._transport, self._who)
        streams.on_forgotten = self._forgotten
        return streams

    def _begin_anew(self) -> object:
        self._judging = asyncio.Semaphore(_MAX_JUDGING)
        self._tasks: set[asyncio.Task[None]] = set()
        return super()._begin_anew()

    async def _validate_bound(
        self, bound: BoundText, scopes: tuple[str, ...], timeout: float | None
    ) -> Verdict:
        verdict = self._judge_bound(bound, scopes)
        if verdict is not None or bound.data is None:
            return verdict or UNKNOWN
        return await self._ask(bound.text, bound.data, bound.key_by(self._keys), scopes, timeout)

    async def _ask(
        self, text: str, data: bytes, key: bytes, scopes: tuple[str, ...], timeout: float | None
    ) -> Verdict:
        """Asks a replica: by the stream, so that the answer is held, or by a call."""
        began = time.monotonic()
        answer = await self._look_up(data, key, LOOK_UP if timeout is None else min(LOOK_UP, timeout))
        if callable(answer):
            return self._looked_up(answer, scopes)
        left = None if timeout is None else max(timeout - (time.monotonic() - began), 0.001)
        request = ValidateTokenRequest(token=text, required_scopes=scopes)
        response = await self._transport.unary(VALIDATE, request, ValidateTokenResponse, left)
        self._counts.call += 1
        return verdict_of(response)

    async def _look_up(self, data: bytes, key: bytes, seconds: float) -> Judge | Status | None:
        streams = self._streams
        streams.start()
        future: asyncio.Future[Judge | Status | None] = asyncio.get_running_loop().create_future()

        def settle(answer: Judge | Status | None) -> None:
            if not future.done():
                future.set_result(answer)

        with streams.lock:
            at = now()
            session = streams.holding.session(at)
            memory = streams.holding.memory
            if session is None or memory.looking_up >= MAX_LOOK_UPS:
                return None
            asked = memory.look_up(session.number, key, lambda: digest_of(data), settle, at)
        if asked is not None:
            streams.send(session, asked)
        try:
            return await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            return None

    def _forgotten(self, forgotten: Forgotten) -> None:
        """Judges those bound texts again that may not pass any more."""
        for bound in self._bound.of(forgotten.entries):
            task = asyncio.get_running_loop().create_task(self._judge_again(bound), name="keyward-bound")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _judge_again(self, bound: BoundText) -> None:
        async with self._judging:
            try:
                verdict = await bound.validate()
            except KeywardError:
                # Nobody can tell. The next one who asks will be told so.
                return
        if not verdict.valid and self._release(bound) and self._on_revoked is not None:
            self._on_revoked(bound, verdict)
