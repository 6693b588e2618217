"""Calls, from threads."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message

from ._channel import channel_of
from ._credentials import sendable
from ._errors import FailedCall, KeywardError, call_error
from ._forks import after_fork
from ._options import ClientOptions
from ._safety import may_repeat, timeout_of
from ._servers import Attempts, Server, Servers

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Metadata = list[tuple[str, str]]


class Transport:
    """Makes calls to the servers of one service, by turns, with the caller's own token.

    Threads may share it. Connections are made with the first calls of a process: a child after a fork makes its own.
    """

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self._addresses = options.addresses()
        self._tokens = options.token_source()
        self._lock = threading.Lock()
        self._servers: Servers[grpc.Channel] | None = None
        self._is_closed = False
        after_fork(self._begin_anew)

    def unary(
        self,
        path: str,
        request: Message,
        response: type[Response],
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> Response:
        """Makes a call, again where that is safe and may help."""
        limit = timeout or self.options.timeout or timeout_of(path)
        attempts = Attempts(self.servers(), limit, self.options.retry and may_repeat(path, request))
        while True:
            server = attempts.server
            try:
                call = self._call(server, "unary_unary", path, response)
                answer = cast(
                    Response, call(request, timeout=attempts.limit(), metadata=self._metadata(metadata))
                )
            except grpc.RpcError as failure:
                error = call_error(cast(FailedCall, failure))
                is_refused = error.code is grpc.StatusCode.UNAUTHENTICATED
                wait = attempts.failed(error, has_other_token=is_refused and self._tokens.refused())
                if wait is None:
                    raise error from None
                time.sleep(wait)
            else:
                server.reached()
                return answer

    def messages(
        self,
        path: str,
        request: Message,
        response: type[Response],
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> Iterator[Response]:
        """Makes a call that is answered by a stream. It is cancelled if the iteration ends early."""
        call = self._call(self.servers().next(), "unary_stream", path, response)
        return _received(call(request, timeout=timeout, metadata=self._metadata(metadata)))

    def exchange(
        self,
        path: str,
        requests: Iterable[Message],
        response: type[Response],
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> Iterator[Response]:
        """Sends requests while it yields the answers."""
        call = self._call(self.servers().next(), "stream_stream", path, response)
        return _received(call(iter(requests), timeout=timeout, metadata=self._metadata(metadata)))

    def duplex(
        self,
        path: str,
        requests: Iterator[Message],
        response: type[Message],
        left: Server[grpc.Channel] | None,
    ) -> tuple[Any, Server[grpc.Channel]]:
        """Opens a stream in both directions, with another server than the one to be left, if there is another."""
        server = self.servers().next(left)
        call = self._call(server, "stream_stream", path, response)
        return call(requests, metadata=self._metadata(None)), server

    def close(self) -> None:
        """Ends all connections."""
        with self._lock:
            self._is_closed = True
            servers, self._servers = self._servers, None
        for server in servers.all if servers is not None else ():
            server.channel.close()

    def servers(self) -> Servers[grpc.Channel]:
        servers = self._servers
        if servers is not None:
            return servers
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            if self._servers is None:
                settings = self.options.channel_settings()
                self._servers = Servers([_channel(*channel_of(each, settings)) for each in self._addresses])
                # It takes a thread for each, and tells nothing that matters where there is no choice.
                for server in self._servers.all if len(self._addresses) > 1 else ():
                    server.channel.subscribe(server.observe)
            return self._servers

    def _begin_anew(self) -> object:
        servers, self._servers = self._servers, None
        self._lock = threading.Lock()
        return servers

    def _call(
        self, server: Server[grpc.Channel], kind: str, path: str, response: type[Message]
    ) -> Callable[..., Any]:
        call = server.calls.get(path)
        if call is None:
            make = getattr(server.channel, kind)
            call = make(path, request_serializer=_serialized, response_deserializer=response.FromString)
            server.calls[path] = call
        return cast(Callable[..., Any], call)

    def _metadata(self, own: Metadata | None) -> Metadata:
        metadata = [*(self.options.metadata or {}).items(), *(own or ())]
        token = self._tokens.get()
        if token is None:
            return metadata
        if not isinstance(token, str):
            raise TypeError("get_token must give a text; what is to be awaited is for keyward.aio.Client")
        return [*metadata, ("authorization", f"Bearer {sendable(token)}")]


def _channel(
    target: str, credentials: grpc.ChannelCredentials | None, options: list[tuple[str, str | int]]
) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, credentials, options)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _received(call: Any) -> Iterator[Any]:
    try:
        yield from call
    except grpc.RpcError as failure:
        raise _error_of(failure) from None
    finally:
        call.cancel()


def _error_of(failure: grpc.RpcError) -> KeywardError:
    return call_error(cast(FailedCall, failure))
