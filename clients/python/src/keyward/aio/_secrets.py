"""Gives values of secrets, to asyncio."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from keyward._errors import KeywardError, status_error
from keyward._holding import now
from keyward._memory.memory import Forgotten
from keyward._memory.shelf import SecretValue, value_of
from keyward._secrets import (
    ACCESS,
    ANSWER,
    BaseReader,
    OnChange,
    SecretName,
    Watched,
    access_request,
    is_passing,
    key_of,
)
from keyward.rpc.status_pb2 import Status
from keyward.secret.v1.secret_service_pb2 import AccessSecretRequest, AccessSecretResponse
from keyward.token.v1.hold_verdicts_pb2 import HoldVerdictsRequest

from ._client import Client
from ._streams import Streams


class SecretReader(BaseReader[Streams]):
    """Gives values of secrets. It belongs to the event loop in which it is first used."""

    def __init__(
        self, client: Client, *, label: str = "python", keep: bool = False, max_secrets: int = 100
    ) -> None:
        """Takes what keyward.SecretReader takes."""
        self._transport = client.transport
        self._soon: dict[Watched, asyncio.Event] = {}
        self._tasks: dict[Watched, asyncio.Task[None]] = {}
        super().__init__(label=label, keep=keep, max_secrets=max_secrets)

    async def get(self, name: SecretName, *, timeout: float | None = None) -> SecretValue:
        """Gives the value of a secret; timeout: seconds that asking the service may take. Raises KeywardError as AccessSecret."""
        request = access_request(name)
        key = key_of(request)
        held = self._held(key)
        if held is not None:
            return held
        began = time.monotonic()
        answer = await self._ask(key, request, ANSWER if timeout is None else min(ANSWER, timeout))
        if isinstance(answer, SecretValue):
            return answer
        if answer is not None and not is_passing(error := status_error(answer)):
            raise error
        left = None if timeout is None else max(timeout - (time.monotonic() - began), 0.001)
        return value_of(await self._transport.unary(ACCESS, request, AccessSecretResponse, left))

    def on_change(self, name: SecretName, told: OnChange) -> Callable[[], None]:
        """Has `told` called with what the value is now, and whenever it is another one, as soon as that is known.

        It is called with a value, or with the error by which there is none any more. It needs `keep`, and a running event loop. Gives a
        function that ends it.
        """
        self._check_keeps()
        watched = Watched(name, told)
        self._watched.append(watched)
        self._soon[watched] = asyncio.Event()
        self._tasks[watched] = asyncio.get_running_loop().create_task(
            self._follow(watched), name="keyward-secret"
        )

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._watched.remove(watched)
                del self._soon[watched]
                self._tasks.pop(watched).cancel()

        return end

    async def close(self) -> None:
        """Overwrites what is kept. The client stays open."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._soon.clear()
        self._watched.clear()
        await self._streams.close()

    def _new_streams(self) -> Streams:
        streams = Streams(self._transport, self._who)
        streams.on_forgotten = self._forgotten
        streams.on_granted = self._granted
        return streams

    async def _ask(
        self, key: str, request: AccessSecretRequest, seconds: float
    ) -> SecretValue | Status | None:
        if not self._keeps:
            return None
        streams = self._streams
        streams.start()
        future: asyncio.Future[SecretValue | Status | None] = asyncio.get_running_loop().create_future()

        def settle(answer: SecretValue | Status | None) -> None:
            if not future.done():
                future.set_result(answer)

        with streams.lock:
            session = streams.holding.session(now())
            if session is None or not self._may_ask():
                return None
            access = streams.holding.memory.secrets.access(session.number, key, request, settle, now())
        if access is not None:
            streams.send(session, HoldVerdictsRequest(access=access))
        try:
            return await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            return None

    def _forgotten(self, forgotten: Forgotten) -> None:
        for watched, soon in self._soon.items():
            if watched.key in forgotten.secrets:
                soon.set()

    def _granted(self) -> None:
        for watched, soon in self._soon.items():
            if watched.is_by_call:
                soon.set()

    async def _follow(self, watched: Watched) -> None:
        """Reads a secret whenever that is due."""
        soon = self._soon[watched]
        while True:
            soon.clear()
            watched.is_by_call = False
            answer: SecretValue | KeywardError
            try:
                answer = await self.get(watched.name)
            except KeywardError as error:
                answer = error
            watched.tell(answer)
            with self._streams.lock:
                watched.is_by_call = self._streams.holding.session(now()) is None
            wait = watched.wait(is_held=isinstance(answer, SecretValue) and self._is_held(watched))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(soon.wait(), wait)
