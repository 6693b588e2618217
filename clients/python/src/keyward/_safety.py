"""How long calls may take, and which are made again."""

import random
import re

import grpc
from google.protobuf.message import Message

from ._errors import KeywardError

# Methods that change nothing. AccessSecret records who got a value, and does so for each answer.
_READS = re.compile(r"/(?:Get|List|Validate|BatchValidate|Access|BatchAccess|Resolve)[A-Za-z]+\Z")

# Of calls that go through any number of rows, and of all others, in seconds.
_LONG_TIMEOUT = 300.0
_TIMEOUT = 10.0
_LONG_METHOD = re.compile(r"/(?:RevokeUserTokens|DeleteUser|DeleteUserProfile|DeleteAccount)\Z")

# The first wait before a call is tried again, and the longest; each is twice the one before.
_FIRST_WAIT = 0.05
MAX_WAIT = 1.0

CONNECT_PATIENCE = 3.0
"""How many seconds a call that may be repeated waits for a connection, if there are other servers."""


def timeout_of(path: str) -> float:
    """How many seconds a call of a method may take where nobody says."""
    return _LONG_TIMEOUT if _LONG_METHOD.search(path) else _TIMEOUT


def may_repeat(path: str, request: Message) -> bool:
    """Whether a call that may have been done already does no harm when it is made again."""
    return bool(
        _READS.search(path) or getattr(request, "validate_only", False) or getattr(request, "request_id", "")
    )


def is_passing(error: KeywardError) -> bool:
    """Failures that may be over soon: the server is not reached, is being stopped, or lacks its database."""
    return error.code is grpc.StatusCode.UNAVAILABLE and "speaks no TLS" not in str(error)


def backoff(attempt: int, most: float = MAX_WAIT) -> float:
    """How many seconds to wait before something is tried for the n-th time again, from 0, spread by a fifth."""
    return min(_FIRST_WAIT * 2.0 ** min(attempt, 30), most) * random.uniform(0.8, 1.2)  # noqa: S311
