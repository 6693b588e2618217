"""Calls, from asyncio."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from keyward._channel import channel_of
from keyward._credentials import sendable
from keyward._errors import FailedCall, call_error
from keyward._forks import after_fork
from keyward._options import ClientOptions
from keyward._safety import may_repeat, timeout_of
from keyward._servers import Attempts, Server, Servers

Response = TypeVar("Response", bound=Message)
Metadata = list[tuple[str, str]]


class Transport:
    """Makes calls to the servers of one service, by turns, with the caller's own token.

    Connections are made with the first calls of a process: a child after a fork makes its own.
    """

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self._addresses = options.addresses()
        self._tokens = options.token_source()
        self._servers: Servers[grpc.aio.Channel] | None = None
        self._is_closed = False
        after_fork(self._begin_anew)

    async def unary(
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
            call = self._call(server, "unary_unary", path, response)
            own = await self._metadata(metadata)
            try:
                answer = cast(Response, await call(request, timeout=attempts.limit(), metadata=own))
            except grpc.RpcError as failure:
                error = call_error(cast(FailedCall, failure))
                is_refused = error.code is grpc.StatusCode.UNAUTHENTICATED
                wait = attempts.failed(error, has_other_token=is_refused and self._tokens.refused())
                if wait is None:
                    raise error from None
                await asyncio.sleep(wait)
            else:
                server.reached()
                return answer

    async def messages(
        self,
        path: str,
        request: Message,
        response: type[Response],
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncIterator[Response]:
        """Makes a call that is answered by a stream. It is cancelled if the iteration ends early."""
        call = self._call(self.servers().next(), "unary_stream", path, response)
        stream = call(request, timeout=timeout, metadata=await self._metadata(metadata))
        async for message in _received(stream):
            yield message

    async def exchange(
        self,
        path: str,
        requests: AsyncIterable[Message],
        response: type[Response],
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncIterator[Response]:
        """Sends requests while it yields the answers."""
        call = self._call(self.servers().next(), "stream_stream", path, response)
        stream = call(requests, timeout=timeout, metadata=await self._metadata(metadata))
        async for message in _received(stream):
            yield message

    async def duplex(
        self, path: str, response: type[Message], left: Server[grpc.aio.Channel] | None
    ) -> tuple[Any, Server[grpc.aio.Channel]]:
        """Opens a stream in both directions, with another server than the one to be left, if there is another."""
        server = self.servers().next(left)
        call = self._call(server, "stream_stream", path, response)
        return call(metadata=await self._metadata(None)), server

    async def close(self) -> None:
        """Ends all connections."""
        self._is_closed = True
        servers, self._servers = self._servers, None
        for server in servers.all if servers is not None else ():
            await server.channel.close(None)

    def servers(self) -> Servers[grpc.aio.Channel]:
        if self._is_closed:
            raise RuntimeError("the client is closed")
        if self._servers is None:
            settings = self.options.channel_settings()
            self._servers = Servers([_channel(*channel_of(each, settings)) for each in self._addresses])
        for server in self._servers.all:
            server.observe(server.channel.get_state())
        return self._servers

    def _begin_anew(self) -> object:
        servers, self._servers = self._servers, None
        return servers

    def _call(
        self, server: Server[grpc.aio.Channel], kind: str, path: str, response: type[Message]
    ) -> Callable[..., Any]:
        call = server.calls.get(path)
        if call is None:
            make = getattr(server.channel, kind)
            call = make(path, request_serializer=_serialized, response_deserializer=response.FromString)
            server.calls[path] = call
        return cast(Callable[..., Any], call)

    async def _metadata(self, own: Metadata | None) -> Metadata:
        metadata = [*(self.options.metadata or {}).items(), *(own or ())]
        token = self._tokens.get()
        if token is not None and not isinstance(token, str):
            token = await token
        return metadata if token is None else [*metadata, ("authorization", f"Bearer {sendable(token)}")]


def _channel(
    target: str, credentials: grpc.ChannelCredentials | None, options: list[tuple[str, str | int]]
) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, credentials, options)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


async def _received(call: Any) -> AsyncIterator[Any]:
    try:
        async for message in call:
            yield message
    except grpc.RpcError as failure:
        raise call_error(cast(FailedCall, failure)) from None
    finally:
        call.cancel()
