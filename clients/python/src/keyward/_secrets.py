"""Gives values of secrets, to threads."""

import concurrent.futures
import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic

import grpc
from google.protobuf.json_format import MessageToDict

from keyward.rpc.status_pb2 import Status
from keyward.secret.v1.secret_service_pb2 import AccessSecretRequest, AccessSecretResponse
from keyward.token.v1.hold_verdicts_pb2 import HoldVerdictsRequest

from ._client import Client
from ._errors import KeywardError, status_error
from ._forks import after_fork
from ._holding import Who, now
from ._memory.memory import Forgotten
from ._memory.shelf import SecretValue, value_of
from ._requests import request_of
from ._safety import backoff
from ._streams import Streams
from ._validator import S

ACCESS = "/keyward.secret.v1.SecretService/AccessSecret"
ANSWER = 2.0
"""How many seconds a value may take to come by the stream before it is asked for by a call."""
MAX_ASKED = 100
"""More questions at a time are asked by calls of their own."""
MAX_WAIT = 30.0
"""The longest wait, in seconds, before a value is read again that is not held."""

SecretName = str | Mapping[str, Any]
"""A secret, by its name among the caller's own, or by any selector, such as {"name": …, "account": …}."""
OnChange = Callable[[SecretValue | None, KeywardError | None], object]
"""Is told a new value, or why there is none any more."""

# With these it is not known whether there is a value.
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAUTHENTICATED,
}


def is_passing(error: KeywardError) -> bool:
    """Whether an error leaves it open whether there is a value."""
    return error.code in _PASSING


class Watched:
    """A secret that somebody follows."""

    def __init__(self, name: SecretName, told: OnChange) -> None:
        self.name = name
        self.key = key_of(access_request(name))
        self.told = told
        self.is_by_call = False
        """Whether it was read while there was no lease."""
        self._last: object = None
        self._attempts = 0

    def tell(self, answer: SecretValue | KeywardError) -> None:
        """Tells a value that is another one, or an error that is none that may be over soon."""
        if isinstance(answer, KeywardError):
            if is_passing(answer):
                return
            told: object = answer.code
        else:
            told = (answer.secret_id, answer.version)
        if told != self._last:
            self._last = told
            if isinstance(answer, KeywardError):
                self.told(None, answer)
            else:
                self.told(answer, None)

    def wait(self, *, is_held: bool) -> float | None:
        """After how many seconds to read again what is not held, and of whose changes nobody tells therefore."""
        if is_held:
            self._attempts = 0
            return None
        self._attempts += 1
        return backoff(self._attempts - 1, MAX_WAIT)


class BaseReader(Generic[S]):
    """What readers for threads and for asyncio have in common."""

    def __init__(self, *, label: str, keep: bool, max_secrets: int) -> None:
        if not 1 <= max_secrets <= 1000:
            raise ValueError("max_secrets must be 1 to 1000")
        self._who = Who(label, 1, max_secrets)
        self._keeps = keep
        self._watched: list[Watched] = []
        self._begin_anew()
        after_fork(self._begin_anew)

    def _new_streams(self) -> S:
        raise NotImplementedError

    def _begin_anew(self) -> object:
        before: S | None = getattr(self, "_streams", None)
        if before is not None:
            before.abandon()
        self._streams = self._new_streams()
        return before

    def _held(self, key: str) -> SecretValue | None:
        if not self._keeps:
            return None
        with self._streams.lock:
            return self._streams.holding.memory.secrets.get(key, now())

    def _is_held(self, watched: Watched) -> bool:
        with self._streams.lock:
            return self._streams.holding.memory.secrets.holds(watched.key)

    def _may_ask(self) -> bool:
        """Whether a value may be asked for by the stream. The lock is held."""
        holding = self._streams.holding
        return holding.session(now()) is not None and holding.memory.secrets.asking < MAX_ASKED

    def _check_keeps(self) -> None:
        if not self._keeps:
            raise ValueError("on_change needs a reader that may keep values: keep=True")


class SecretReader(BaseReader[Streams]):
    """Gives values of secrets. Threads may share it, and so may processes that fork."""

    def __init__(
        self, client: Client, *, label: str = "python", keep: bool = False, max_secrets: int = 100
    ) -> None:
        """Raises ValueError if an option is out of its range.

        label: what people call this program, as for a Validator.
        keep: whether values are kept in this process, under a lease, for which the client's token needs the scope
            `keyward.tokens.cache` besides `keyward.secrets.access`. Otherwise each is fetched whenever it is asked for.
        max_secrets: values to keep at most, 1 to 1000. The replica may set a lower limit.
        """
        self._transport = client.transport
        super().__init__(label=label, keep=keep, max_secrets=max_secrets)

    def get(self, name: SecretName, *, timeout: float | None = None) -> SecretValue:
        """Gives the value of a secret; timeout: seconds that asking the service may take. Raises KeywardError as AccessSecret."""
        request = access_request(name)
        key = key_of(request)
        held = self._held(key)
        if held is not None:
            return held
        began = time.monotonic()
        answer = self._ask(key, request, ANSWER if timeout is None else min(ANSWER, timeout))
        if isinstance(answer, SecretValue):
            return answer
        if answer is not None and not is_passing(error := status_error(answer)):
            raise error
        left = None if timeout is None else max(timeout - (time.monotonic() - began), 0.001)
        return value_of(self._transport.unary(ACCESS, request, AccessSecretResponse, left))

    def on_change(self, name: SecretName, told: OnChange) -> Callable[[], None]:
        """Has `told` called with what the value is now, and whenever it is another one, as soon as that is known.

        It is called by a thread of the reader, with a value or with the error by which there is none any more. It needs `keep`. Gives a
        function that ends it. In a child after a fork it goes on from the first `get` or `on_change` there.
        """
        self._check_keeps()
        watched = Watched(name, told)
        with self._changed:
            self._watched.append(watched)
            self._due[watched] = 0.0
            self._start_reading()
            self._changed.notify()

        def end() -> None:
            with self._changed, contextlib.suppress(ValueError):
                self._watched.remove(watched)
                self._due.pop(watched, None)

        return end

    def close(self) -> None:
        """Overwrites what is kept. The client stays open."""
        with self._changed:
            self._watched.clear()
            self._due.clear()
            self._is_closed = True
            self._changed.notify()
        self._streams.close()

    def _new_streams(self) -> Streams:
        streams = Streams(self._transport, self._who)
        streams.on_forgotten = self._forgotten
        streams.on_granted = self._granted
        return streams

    def _begin_anew(self) -> object:
        self._changed = threading.Condition()
        # When, by the monotonic clock in seconds, what is watched is read again.
        self._due: dict[Watched, float] = dict.fromkeys(self._watched, 0.0)
        self._is_reading = False
        self._is_closed = False
        return super()._begin_anew()

    def _ask(self, key: str, request: AccessSecretRequest, seconds: float) -> SecretValue | Status | None:
        if not self._keeps:
            return None
        if self._watched:
            with self._changed:
                self._start_reading()
        streams = self._streams
        answer: concurrent.futures.Future[SecretValue | Status | None] = concurrent.futures.Future()
        with streams.lock:
            streams.start()
            session = streams.holding.session(now())
            if session is None or not self._may_ask():
                return None
            access = streams.holding.memory.secrets.access(
                session.number, key, request, answer.set_result, now()
            )
            if access is not None:
                streams.send(session, HoldVerdictsRequest(access=access))
        try:
            return answer.result(seconds)
        except concurrent.futures.TimeoutError:
            return None

    def _forgotten(self, forgotten: Forgotten) -> None:
        """Reads what was forgotten, since it may be another value."""
        self._read_soon(lambda watched: watched.key in forgotten.secrets)

    def _granted(self) -> None:
        """Reads what was read while there was no lease: nobody tells of changes of it."""
        self._read_soon(lambda watched: watched.is_by_call)

    def _read_soon(self, is_meant: Callable[[Watched], bool]) -> None:
        with self._changed:
            for watched in self._watched:
                if is_meant(watched):
                    self._due[watched] = 0.0
            self._changed.notify()

    def _start_reading(self) -> None:
        if not self._is_reading and not self._is_closed:
            self._is_reading = True
            threading.Thread(target=self._read_all, name="keyward-secrets", daemon=True).start()

    def _read_all(self) -> None:
        """Reads what is watched whenever that is due."""
        while True:
            with self._changed:
                if self._is_closed:
                    return
                watched = min(self._due, key=self._due.__getitem__, default=None)
                wait = None if watched is None else self._due[watched] - time.monotonic()
                if watched is None or (wait is not None and wait > 0):
                    self._changed.wait(wait)
                    continue
                del self._due[watched]
                watched.is_by_call = False
            self._read(watched)

    def _read(self, watched: Watched) -> None:
        answer: SecretValue | KeywardError
        try:
            answer = self.get(watched.name)
        except KeywardError as error:
            answer = error
        if watched in self._watched:
            watched.tell(answer)
        with self._streams.lock:
            is_by_call = self._streams.holding.session(now()) is None
        wait = watched.wait(is_held=isinstance(answer, SecretValue) and self._is_held(watched))
        with self._changed:
            if wait is not None and watched in self._watched and watched not in self._due:
                watched.is_by_call = is_by_call
                self._due[watched] = time.monotonic() + wait


def access_request(name: SecretName) -> AccessSecretRequest:
    selector = {"name": name} if isinstance(name, str) else name
    return request_of(AccessSecretRequest, {"secret": selector})


def key_of(request: AccessSecretRequest) -> str:
    return json.dumps(MessageToDict(request.secret), sort_keys=True)
