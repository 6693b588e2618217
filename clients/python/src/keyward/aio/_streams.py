"""Keeps a memory right from asyncio."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import grpc
import grpc.aio

from keyward._errors import FailedCall, KeywardError, call_error
from keyward._holding import LEAVING, LEFT, MAX_TEXTS, OPENING, PATH, Session, Who, now
from keyward._memory.memory import Forgotten
from keyward._servers import Server
from keyward._streams import BaseStreams
from keyward.token.v1.hold_verdicts_pb2 import (
    HoldLookUp,
    HoldText,
    HoldVerdictsRequest,
    HoldVerdictsResponse,
)

from ._transport import Transport


class Streams(BaseStreams):
    """Streams that tasks of one event loop hold."""

    def __init__(self, transport: Transport, who: Who) -> None:
        super().__init__(who)
        self.on_forgotten: Callable[[Forgotten], None] = lambda _: None
        """Is told what was forgotten because a replica said so."""
        self.on_granted: Callable[[], None] = lambda: None
        """Is told of each lease that is granted."""
        self._transport = transport
        self._outboxes: dict[Session, Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_started = False

    def start(self) -> None:
        """Begins the first stream, if that was not done before."""
        if not self._is_started:
            self._is_started = True
            self._connect(None)

    def send(self, session: Session, message: HoldVerdictsRequest | HoldText) -> None:
        """Sends a message; texts go together."""
        outbox = self._outboxes.get(session)
        if outbox is not None:
            outbox.put(message)

    async def close(self) -> None:
        """Forgets everything, and tells the replica so."""
        with self.lock:
            left = self.holding.close()
        for session in left:
            if session in self._outboxes:
                self._outboxes[session].leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LEAVING)
        for task in self._tasks:
            task.cancel()

    def _connect(self, left: Server[grpc.aio.Channel] | None) -> None:
        task = asyncio.get_running_loop().create_task(self._run(left), name="keyward-stream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, server: Server[grpc.aio.Channel] | None) -> None:
        """Holds one stream after another, until another task does."""
        wait: float | None = 0.0
        while wait is not None and not self.holding.is_closed:
            await asyncio.sleep(wait)
            server, wait = await self._hold(server)

    async def _hold(
        self, left: Server[grpc.aio.Channel] | None
    ) -> tuple[Server[grpc.aio.Channel] | None, float | None]:
        """Holds a stream until it ends. Gives its server, and after how many seconds to begin another one."""
        session = None
        error = None
        server = left
        writing = None
        outbox = None
        wait: float | None = None
        call = None
        try:
            call, server = await self._transport.duplex(PATH, HoldVerdictsResponse, left)
            with self.lock:
                session = self.holding.begin(now())
            outbox = self._outboxes[session] = Outbox(self, session, call)
            writing = asyncio.get_running_loop().create_task(outbox.write())
            async for message in call:
                self._take(session, outbox, server, message)
        except grpc.RpcError as failure:
            error = call_error(cast(FailedCall, failure))
        except asyncio.CancelledError:
            # So ends a call that was given up here, too.
            if outbox is None or not outbox.is_given_up:
                raise
        except Exception as failure:
            # The caller's token cannot be had, or the client is closed: as if the service could not be reached.
            error = KeywardError(grpc.StatusCode.UNAVAILABLE, str(failure))
        finally:
            if call is not None:
                call.cancel()
            if writing is not None:
                writing.cancel()
            with self.lock:
                if session is not None:
                    self._outboxes.pop(session, None)
                wait = self.holding.ended(session, error)
        return server, wait

    def _take(
        self,
        session: Session,
        outbox: "Outbox",
        server: Server[grpc.aio.Channel],
        message: HoldVerdictsResponse,
    ) -> None:
        with self.lock:
            effects = self.holding.take(session, message, now())
        for reply in effects.replies:
            outbox.put(reply)
        if effects.renews_every is not None:
            outbox.renew_every(effects.renews_every)
        for other in effects.leaves:
            if other in self._outboxes:
                self._outboxes[other].leave()
        if effects.connects:
            self._connect(server)
        if effects.forgotten.entries or effects.forgotten.secrets:
            self.on_forgotten(effects.forgotten)
        if effects.is_granted:
            self.on_granted()


class Outbox:
    """What is to be sent on a stream, by a task that asks for the leases too."""

    def __init__(self, streams: Streams, session: Session, call: Any) -> None:
        self._streams = streams
        self._session = session
        self._call = call
        self._messages: asyncio.Queue[HoldVerdictsRequest | HoldText | None] = asyncio.Queue()
        self._every = OPENING
        self._due = now().monotonic + int(OPENING * 1e9)
        self._next: HoldVerdictsRequest | None = None
        self._has_left = False
        self.is_given_up = False
        """Whether the call was cancelled from here."""
        self.put(session.first)

    def put(self, message: HoldVerdictsRequest | HoldText) -> None:
        if not self._has_left:
            self._messages.put_nowait(message)

    def renew_every(self, seconds: float) -> None:
        """Has a lease asked for now, and from then on."""
        self._every = seconds
        self._due = now().monotonic
        self._messages.put_nowait(None)

    def leave(self) -> None:
        """Ends the stream in order: no lease of it is used any more."""
        self.put(LEFT)
        self._has_left = True
        asyncio.get_running_loop().call_later(LEAVING, self.give_up)

    def give_up(self) -> None:
        self.is_given_up = True
        self._call.cancel()

    async def write(self) -> None:
        """Sends until nothing more is to be sent."""
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            while True:
                message = await self._message()
                if message is None:
                    # Nothing is heard of the replica.
                    self.give_up()
                    return
                await self._call.write(message)
                if message is LEFT:
                    await self._call.done_writing()
                    return

    async def _message(self) -> HoldVerdictsRequest | None:
        while True:
            wait = (self._due - now().monotonic) / 1e9
            if wait <= 0 and not self._has_left:
                self._due = max(self._due + int(self._every * 1e9), now().monotonic)
                with self._streams.lock:
                    return self._session.renewal(now())
            if self._next is not None:
                message, self._next = self._next, None
                return message
            try:
                first = await asyncio.wait_for(
                    self._messages.get(), max(wait, 0) if not self._has_left else None
                )
            except asyncio.TimeoutError:
                continue
            if isinstance(first, HoldVerdictsRequest):
                return first
            if first is not None:
                return self._texts(first)

    def _texts(self, first: HoldText) -> HoldVerdictsRequest:
        """Takes the texts that wait together, up to the next message of another kind."""
        texts = [first]
        while len(texts) < MAX_TEXTS and not self._messages.empty():
            another = self._messages.get_nowait()
            if isinstance(another, HoldText):
                texts.append(another)
            elif another is not None:
                self._next = another
                break
        return HoldVerdictsRequest(look_up=HoldLookUp(texts=texts))
