"""How calls fail."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from keyward.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from keyward.rpc.status_pb2 import Status

_SPEAKS_NO_TLS = "the server speaks no TLS; give plaintext=True if nobody else can read the network"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks a rule, with the rule."""

    field: str
    rule: str


class FailedCall(Protocol):
    """What a failed call of the gRPC library tells, be it of the synchronous API or of asyncio's."""

    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


class KeywardError(Exception):
    """A call that failed, with what the service says of the cause."""

    code: grpc.StatusCode
    """The gRPC status code."""
    reason: str
    """Name of a keyward.errors.v1.ErrorReason without its prefix; empty if the service could not be asked."""
    metadata: Mapping[str, str]
    """Facts about the cause, see the reason."""
    violations: Sequence[Violation]
    """Fields that break a rule, with the rule."""
    retry_after: float | None
    """After how many seconds the call may be tried again, if the service says so."""

    def __init__(self, code: grpc.StatusCode, message: str, details: Iterable[Any] = ()) -> None:
        super().__init__(message)
        found = {detail.type_url.rpartition(".")[2]: detail.value for detail in details}
        info = _decoded(ErrorInfo, found.get("ErrorInfo"))
        self.code = code
        self.reason = info.reason
        self.metadata = dict(info.metadata)
        self.violations = tuple(
            Violation(each.field, each.description)
            for each in _decoded(BadRequest, found.get("BadRequest")).field_violations
        )
        self.retry_after = None
        if "RetryInfo" in found:
            delay = _decoded(RetryInfo, found["RetryInfo"]).retry_delay
            self.retry_after = delay.seconds + delay.nanos / 1e9

    def __str__(self) -> str:
        return f"{self.code.name}: {self.args[0]}"

    @property
    def request_id(self) -> str:
        """What the service's log calls the call; empty if the service could not be asked."""
        return self.metadata.get("request_id", "")


def call_error(error: FailedCall) -> KeywardError:
    """Reads the details that come with an error of the library."""
    code, message = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and (
        "WRONG_VERSION_NUMBER" in message or "wrong version number" in message
    ):
        return KeywardError(code, _SPEAKS_NO_TLS)
    trailing = dict(error.trailing_metadata() or ())
    encoded = trailing.get("grpc-status-details-bin")
    details = _decoded(Status, encoded if isinstance(encoded, bytes) else None).details
    return KeywardError(code, message, details)


def status_error(status: Status) -> KeywardError:
    """The error of a status that came within a message of a stream."""
    return KeywardError(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status.details)


def _decoded(message: type[_M], data: bytes | None) -> _M:
    try:
        return message.FromString(data or b"")
    except DecodeError:
        return message()
