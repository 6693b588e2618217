"""What an HTTP request is answered that may not pass, by RFC 6750."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc

from ._errors import KeywardError
from ._memory.verdict import Verdict

RETRY_AFTER = 1
"""How many seconds a client is told to wait where the service does not say."""


@dataclass(frozen=True, slots=True)
class Refused:
    """How a request is refused."""

    status: int
    """401, 403, or 503."""
    message: str
    headers: dict[str, str]
    error: str = ""
    """The code of RFC 6750; empty where no credentials were presented, and for 503."""
    retry_after: int = field(default=0)

    @property
    def body(self) -> dict[str, str]:
        return {"error": self.error, "message": self.message}


def credentials_in(header: str, schemes: Iterable[str]) -> str | None:
    """The text that a header `authorization` presents by one of the schemes, exactly as it came; None: it presents none."""
    scheme, space, text = header.partition(" ")
    if scheme.lower() not in {each.lower() for each in schemes}:
        return None
    return text.lstrip(" ") if space else ""


def challenge(realm: str, scheme: str = "Bearer", error: str = "", scopes: Iterable[str] = ()) -> str:
    """The value of `WWW-Authenticate`."""
    quoted = re.sub(r'(["\\])', r"\\\1", realm)
    needed = " ".join(scopes)
    return (
        f'{scheme} realm="{quoted}"'
        + (f', error="{error}"' if error else "")
        + (f', scope="{needed}"' if needed else "")
    )


def unauthorized(realm: str, *, is_presented: bool) -> Refused:
    """Credentials are missing, or refused."""
    if not is_presented:
        return Refused(401, "Credentials are required.", {"WWW-Authenticate": challenge(realm)})
    headers = {"WWW-Authenticate": challenge(realm, error="invalid_token")}
    return Refused(401, "The credentials are refused.", headers, "invalid_token")


def insufficient(realm: str, scopes: Iterable[str]) -> Refused:
    """A scope is missing."""
    headers = {"WWW-Authenticate": challenge(realm, error="insufficient_scope", scopes=scopes)}
    return Refused(403, "The credentials lack a scope that is needed.", headers, "insufficient_scope")


def undecided(error: KeywardError) -> Refused:
    """Nobody can tell whether the credentials pass. Whoever has good ones must not be told that they are bad.

    So it is, too, where the service's own token is refused, which is no fault of who calls it. Scopes that are none are a fault of the
    program: then it raises the error again.
    """
    if error.code is grpc.StatusCode.INVALID_ARGUMENT:
        raise error
    seconds = max(math.ceil(error.retry_after or RETRY_AFTER), 1)
    message = "The credentials cannot be judged at present."
    return Refused(503, message, {"Retry-After": str(seconds)}, retry_after=seconds)


def refused_by(verdict: Verdict, realm: str, scopes: Iterable[str]) -> Refused | None:
    """How a request is refused because of a verdict; None: it passes."""
    if verdict.valid:
        return None
    return (
        insufficient(realm, scopes)
        if verdict.reason == "INSUFFICIENT_SCOPE"
        else unauthorized(realm, is_presented=True)
    )
