"""Texts that may be tokens, and how they are known."""

import functools
import hashlib
import re
import secrets
from collections.abc import Iterable

import grpc
from google.protobuf.any_pb2 import Any

from keyward.rpc.error_details_pb2 import BadRequest, ErrorInfo

from ._errors import KeywardError

_MAX_BYTES = 1024
_MAX_SCOPES = 64
_SCOPE = re.compile(r"[a-z0-9_.:/*-]{1,128}\Z")


class TextKeys:
    """Makes the keys of one memory, so that what it holds matches nothing that others hold."""

    def __init__(self) -> None:
        self._salted = hashlib.sha256(secrets.token_bytes(32))

    def of(self, data: bytes) -> bytes:
        salted = self._salted.copy()
        salted.update(data)
        return salted.digest()


def bytes_of(text: str) -> bytes | None:
    """A text in UTF-8; None if it can be no token: over 1 KiB, or what is no Unicode, none is."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return None
    return data if len(data) <= _MAX_BYTES else None


def digest_of(data: bytes) -> bytes:
    """What the service knows a text by."""
    return hashlib.sha512(data).digest()


def checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Refuses what the service would refuse, with the same KeywardError (INVALID_ARGUMENT)."""
    if isinstance(scopes, str):
        raise TypeError("scopes must be a list of texts, not one text")
    return _checked(tuple(scopes))


@functools.lru_cache(maxsize=1024)
def _checked(scopes: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [
        BadRequest.FieldViolation(
            field=f"scopes[{at}]", description="must be 1 to 128 characters of [a-z0-9_.:/*-]"
        )
        for at, scope in enumerate(scopes)
        if not _SCOPE.match(scope)
    ]
    if len(scopes) > _MAX_SCOPES:
        wrong.insert(
            0, BadRequest.FieldViolation(field="scopes", description=f"must be at most {_MAX_SCOPES}")
        )
    if wrong:
        message = "; ".join(f"{each.field} {each.description}" for each in wrong)
        details = [Any(), Any()]
        details[0].Pack(ErrorInfo(reason="INVALID_FIELDS", domain="keyward"))
        details[1].Pack(BadRequest(field_violations=wrong))
        raise KeywardError(grpc.StatusCode.INVALID_ARGUMENT, message, details)
    return scopes
