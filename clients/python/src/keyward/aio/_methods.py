"""Methods of services, as functions that take the fields of their requests as keywords."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Generic, ParamSpec, TypeVar

from google.protobuf.message import Message

from keyward._methods import Method, keywords
from keyward._requests import request_of

from ._transport import Metadata, Transport

P = ParamSpec("P")
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class AsyncService:
    """A service, called by a transport."""

    def __init__(self, transport: Transport, timeout: float | None, metadata: Metadata | None) -> None:
        self._transport = transport
        self._timeout = timeout
        self._metadata = metadata


class AsyncUnary(Method[P, Response]):
    """A call with one answer."""

    def __get__(self, service: AsyncService, owner: type) -> Callable[P, Awaitable[Response]]:
        def call(*args: P.args, **fields: P.kwargs) -> Awaitable[Response]:
            request = request_of(self.request, keywords(self.name, args, fields))
            return service._transport.unary(
                self.path, request, self.response, service._timeout, service._metadata
            )

        return call


class AsyncServerStream(Method[P, Response]):
    """A call that is answered by a stream."""

    def __get__(self, service: AsyncService, owner: type) -> Callable[P, AsyncIterator[Response]]:
        def call(*args: P.args, **fields: P.kwargs) -> AsyncIterator[Response]:
            request = request_of(self.request, keywords(self.name, args, fields))
            return service._transport.messages(
                self.path, request, self.response, service._timeout, service._metadata
            )

        return call


class AsyncBidiStream(Generic[Request, Response]):
    """A call with a stream of requests, which is answered by one."""

    def __init__(self, path: str, request: type[Request], response: type[Response]) -> None:
        self._path = path
        self._response = response

    def __get__(
        self, service: AsyncService, owner: type
    ) -> Callable[[AsyncIterable[Request]], AsyncIterator[Response]]:
        def call(requests: AsyncIterable[Request]) -> AsyncIterator[Response]:
            return service._transport.exchange(
                self._path, requests, self._response, service._timeout, service._metadata
            )

        return call
