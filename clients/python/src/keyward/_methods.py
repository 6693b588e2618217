"""Methods of services, as functions that take the fields of their requests as keywords."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from google.protobuf.message import Message

from ._requests import request_of
from ._transport import Metadata, Transport

P = ParamSpec("P")
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Service:
    """A service, called by a transport."""

    def __init__(self, transport: Transport, timeout: float | None, metadata: Metadata | None) -> None:
        self._transport = transport
        self._timeout = timeout
        self._metadata = metadata


class Method(Generic[P, Response]):
    def __init__(self, path: str, request: Callable[P, Message], response: type[Response]) -> None:
        self.path = path
        # Its class: as a function it has the parameters that the fields are given by.
        self.request: Any = request
        self.response = response

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class Unary(Method[P, Response]):
    """A call with one answer."""

    def __get__(self, service: Service, owner: type) -> Callable[P, Response]:
        def call(*args: P.args, **fields: P.kwargs) -> Response:
            request = request_of(self.request, keywords(self.name, args, fields))
            return service._transport.unary(
                self.path, request, self.response, service._timeout, service._metadata
            )

        return call


class ServerStream(Method[P, Response]):
    """A call that is answered by a stream."""

    def __get__(self, service: Service, owner: type) -> Callable[P, Iterator[Response]]:
        def call(*args: P.args, **fields: P.kwargs) -> Iterator[Response]:
            request = request_of(self.request, keywords(self.name, args, fields))
            return service._transport.messages(
                self.path, request, self.response, service._timeout, service._metadata
            )

        return call


class BidiStream(Generic[Request, Response]):
    """A call with a stream of requests, which is answered by one."""

    def __init__(self, path: str, request: type[Request], response: type[Response]) -> None:
        self.path = path
        self.response = response

    def __get__(self, service: Service, owner: type) -> Callable[[Iterable[Request]], Iterator[Response]]:
        def call(requests: Iterable[Request]) -> Iterator[Response]:
            return service._transport.exchange(
                self.path, requests, self.response, service._timeout, service._metadata
            )

        return call


def keywords(name: str, args: tuple[object, ...], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if args:
        raise TypeError(f"{name}() takes the fields of its request as keywords")
    return fields
