"""Keeps a memory right from threads."""

import atexit
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import grpc

from keyward.token.v1.hold_verdicts_pb2 import HoldLookUp, HoldText, HoldVerdictsRequest, HoldVerdictsResponse

from ._errors import FailedCall, KeywardError, call_error
from ._holding import LEAVING, LEFT, MAX_TEXTS, OPENING, PATH, Effects, Holding, Session, Who, now
from ._memory.memory import Forgotten
from ._servers import Server
from ._transport import Transport


class BaseStreams:
    """The streams of one process. Whoever touches `holding` holds `lock`, and neither waits nor sends meanwhile."""

    def __init__(self, who: Who) -> None:
        self.lock = threading.Lock()
        self.holding = Holding(who)

    def abandon(self) -> None:
        """Is called in a child after a fork, where the streams are the parent's."""


class Streams(BaseStreams):
    """Streams that threads hold."""

    def __init__(self, transport: Transport, who: Who) -> None:
        super().__init__(who)
        self.on_forgotten: Callable[[Forgotten], None] = lambda _: None
        """Is told, by the stream's thread, what was forgotten because a replica said so."""
        self.on_granted: Callable[[], None] = lambda: None
        """Is told of each lease that is granted."""
        self._transport = transport
        self._outboxes: dict[Session, Outbox] = {}
        self._is_started = False
        self._closed = threading.Event()

    def start(self) -> None:
        """Begins the first stream, if that was not done before. The lock is held."""
        if not self._is_started:
            self._is_started = True
            # A replica that is told need not wait for the lease to end.
            atexit.register(self.close)
            self._connect(None)

    def send(self, session: Session, message: "HoldVerdictsRequest | HoldText") -> None:
        """Sends a message; texts go together. The lock is held."""
        outbox = self._outboxes.get(session)
        if outbox is not None:
            outbox.put(message)

    def close(self) -> None:
        """Forgets everything, and tells the replica so."""
        with self.lock:
            self._closed.set()
            for session in self.holding.close():
                self._leave(session)
        atexit.unregister(self.close)

    def abandon(self) -> None:
        atexit.unregister(self.close)

    def _connect(self, left: Server[grpc.Channel] | None) -> None:
        threading.Thread(target=self._run, args=(left,), name="keyward-stream", daemon=True).start()

    def _run(self, server: Server[grpc.Channel] | None) -> None:
        """Holds one stream after another, until another thread does."""
        wait: float | None = 0.0
        while wait is not None and not self._closed.wait(wait):
            server, wait = self._hold(server)

    def _hold(self, left: Server[grpc.Channel] | None) -> tuple[Server[grpc.Channel] | None, float | None]:
        """Holds a stream until it ends. Gives its server, and after how many seconds to begin another one."""
        outbox = Outbox(self)
        session = None
        error = None
        server = left
        try:
            call, server = self._transport.duplex(PATH, outbox, HoldVerdictsResponse, left)
            with self.lock:
                if self.holding.is_closed:
                    call.cancel()
                    return server, None
                session = self.holding.begin(now())
                self._outboxes[session] = outbox
                outbox.begin(session, call)
            for message in call:
                self._take(session, outbox, server, message)
        except grpc.RpcError as failure:
            error = call_error(cast(FailedCall, failure))
        except Exception as failure:
            # The caller's token cannot be had, or the client is closed: as if the service could not be reached.
            error = KeywardError(grpc.StatusCode.UNAVAILABLE, str(failure))
        finally:
            with self.lock:
                outbox.end()
                if session is not None:
                    self._outboxes.pop(session, None)
                wait = self.holding.ended(session, error)
        return server, wait

    def _take(
        self, session: Session, outbox: "Outbox", server: Server[grpc.Channel], message: HoldVerdictsResponse
    ) -> None:
        with self.lock:
            effects: Effects = self.holding.take(session, message, now())
            for reply in effects.replies:
                outbox.put(reply)
            if effects.renews_every is not None:
                outbox.renew_every(effects.renews_every)
            for other in effects.leaves:
                self._leave(other)
            if effects.connects:
                self._connect(server)
        if effects.forgotten.entries or effects.forgotten.secrets:
            self.on_forgotten(effects.forgotten)
        if effects.is_granted:
            self.on_granted()

    def _leave(self, session: Session) -> None:
        """Ends a stream in order: no lease of it is used any more."""
        outbox = self._outboxes.get(session)
        if outbox is not None:
            outbox.leave()


class Outbox:
    """What is to be sent on a stream. The library takes it from a thread of its own, which asks for the leases too."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._changed = threading.Condition(threading.Lock())
        self._messages: deque[HoldVerdictsRequest | HoldText] = deque()
        self._has_ended = False
        self._every: float | None = None
        self._due = now().monotonic + int(OPENING * 1e9)
        self._session: Session | None = None
        self._call: Any = None

    def begin(self, session: Session, call: Any) -> None:
        self._session = session
        self._call = call
        self.put(session.first)

    def put(self, message: "HoldVerdictsRequest | HoldText") -> None:
        with self._changed:
            if not self._has_ended:
                self._messages.append(message)
                self._changed.notify()

    def renew_every(self, seconds: float) -> None:
        """Has a lease asked for now, and from then on."""
        with self._changed:
            self._every = seconds
            self._due = now().monotonic
            self._changed.notify()

    def leave(self) -> None:
        self.put(LEFT)
        self.end()
        timer = threading.Timer(LEAVING, self._call.cancel)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """Ends this side, after what is to be sent."""
        with self._changed:
            self._has_ended = True
            self._changed.notify()

    def __iter__(self) -> "Outbox":
        return self

    def __next__(self) -> HoldVerdictsRequest:
        while True:
            with self._changed:
                wait = (self._due - now().monotonic) / 1e9
                is_due = wait <= 0 and not self._has_ended
                if not is_due:
                    if self._messages:
                        return self._first()
                    if self._has_ended:
                        raise StopIteration
                    self._changed.wait(wait)
                    continue
                self._due += int((self._every or OPENING) * 1e9)
                self._due = max(self._due, now().monotonic)
            renewal = self._renewal()
            if renewal is None:
                # Nothing is heard of the replica.
                if self._call is not None:
                    self._call.cancel()
                raise StopIteration
            return renewal

    def _renewal(self) -> HoldVerdictsRequest | None:
        with self._streams.lock:
            return None if self._session is None else self._session.renewal(now())

    def _first(self) -> HoldVerdictsRequest:
        message = self._messages.popleft()
        if isinstance(message, HoldVerdictsRequest):
            return message
        texts = [message]
        while self._messages and len(texts) < MAX_TEXTS and isinstance(self._messages[0], HoldText):
            texts.append(cast(HoldText, self._messages.popleft()))
        return HoldVerdictsRequest(look_up=HoldLookUp(texts=texts))
