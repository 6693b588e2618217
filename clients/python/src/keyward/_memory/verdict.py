"""Verdicts, and the rules by which they are given."""

import functools
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, cast

from google.protobuf.timestamp_pb2 import Timestamp

from keyward.token.v1.hold_verdicts_pb2 import HoldFact
from keyward.token.v1.token_pb2 import Principal as PrincipalMessage
from keyward.token.v1.token_pb2 import VerdictReason as ReasonMessage
from keyward.token.v1.token_service_pb2 import ValidateTokenResponse

VerdictReason = Literal[
    "OK", "UNKNOWN", "EXPIRED", "OWNER_INACTIVE", "INACTIVE", "ACCOUNT_INACTIVE", "INSUFFICIENT_SCOPE"
]
"""Why a text may pass or not, as keyward.token.v1.VerdictReason without its prefix."""

_PREFIX = "VERDICT_REASON_"
_FAMILY = re.compile(r"[.:/]\*\Z")


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a token stands for."""

    user_id: int
    username: str
    user_profile_id: int
    account_id: int
    account_number: str
    is_staff: bool
    is_superuser: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says whether a text may pass, and whose it is."""

    valid: bool
    """True exactly if `reason` is OK."""
    reason: VerdictReason
    key_id: str = ""
    """Of every known token, refused or not; empty if UNKNOWN."""
    principal: Principal | None = None
    """Whom the token stands for; only if `valid`, as all below."""
    name: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    """When this text will be refused, in UTC; None: never."""
    stale: bool = False
    """True if it is from a replica's memory because the database cannot be reached."""

    def covers(self, *scopes: str) -> bool:
        """Whether the token passes, and holds all of these scopes."""
        return self.valid and cover_all(self.scopes, scopes)


UNKNOWN = Verdict(valid=False, reason="UNKNOWN")


def principal_of(message: PrincipalMessage) -> Principal:
    return Principal(
        message.user_id,
        message.username,
        message.user_profile_id,
        message.account_id,
        message.account_number,
        message.is_staff,
        message.is_superuser,
    )


def verdict_of(response: ValidateTokenResponse) -> Verdict:
    """The verdict that a call was answered by."""
    reason = _reason_of(response.reason)
    if reason != "OK" or not response.valid:
        # A reason that this version does not know is one to refuse.
        return Verdict(False, "UNKNOWN" if reason == "OK" else reason, response.key_id, stale=response.stale)
    return Verdict(
        True,
        "OK",
        response.key_id,
        principal_of(response.principal),
        response.name,
        tuple(response.scopes),
        _time_of(response.expires_at) if response.HasField("expires_at") else None,
        response.stale,
    )


def _reason_of(number: ReasonMessage) -> VerdictReason:
    known = ReasonMessage.DESCRIPTOR.values_by_number.get(number)
    if known is None or number == ReasonMessage.VERDICT_REASON_UNSPECIFIED:
        return "UNKNOWN"
    return cast(VerdictReason, known.name.removeprefix(_PREFIX))


def refusal(reason: VerdictReason, fact: HoldFact) -> Verdict:
    """The verdict on a text that may not pass."""
    return Verdict(False, reason, fact.key_id, stale=fact.stale)


def acceptance(fact: HoldFact, owner: Principal) -> Verdict:
    """The verdict on a text that passes, by what is known of it."""
    expires_at = _time_of(fact.expires_at) if fact.HasField("expires_at") else None
    return Verdict(True, "OK", fact.key_id, owner, fact.name, tuple(fact.scopes), expires_at, fact.stale)


def inactivity(fact: HoldFact) -> VerdictReason | None:
    """Why a known text does not pass whatever it is for; None if it does. The first that applies counts."""
    if not fact.user_is_active:
        return "OWNER_INACTIVE"
    if not fact.is_active:
        return "INACTIVE"
    return None if fact.account_is_active else "ACCOUNT_INACTIVE"


@functools.lru_cache(maxsize=4096)
def cover_all(granted: tuple[str, ...], scopes: tuple[str, ...]) -> bool:
    """Whether what is granted includes all of some scopes."""
    return all(_covers(granted, scope) for scope in scopes)


def _covers(granted: tuple[str, ...], scope: str) -> bool:
    """By the same text, by `*`, or by one ending in `.*`, `:*` or `/*` whose beginning it shares."""
    return any(
        own == "*" or own == scope or (_FAMILY.search(own) is not None and scope.startswith(own[:-1]))
        for own in granted
    )


def _time_of(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=timezone.utc)
