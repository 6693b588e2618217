"""Calls Keyward, and judges its API keys in the memory of your own process.

    client = keyward.Client(servers="keyward.internal:50051", token_file="/run/secrets/keyward-token")
    validator = keyward.Validator(client, label="checkout")
    verdict = validator.validate(text, scopes=["orders:read"])

keyward.aio has the same for asyncio, keyward.django and keyward.fastapi what those frameworks need.
"""

from ._channel import Keepalive
from ._client import Client
from ._errors import KeywardError, Violation
from ._memory.shelf import SecretValue
from ._memory.verdict import Principal, Verdict, VerdictReason
from ._options import ClientOptions
from ._requests import time_of
from ._secrets import SecretReader
from ._validator import BoundText, Counts, Validator
from ._version import VERSION as __version__

__all__ = [
    "BoundText",
    "Client",
    "ClientOptions",
    "Counts",
    "Keepalive",
    "KeywardError",
    "Principal",
    "SecretReader",
    "SecretValue",
    "Validator",
    "Verdict",
    "VerdictReason",
    "Violation",
    "__version__",
    "time_of",
]
