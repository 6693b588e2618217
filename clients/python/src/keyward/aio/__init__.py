"""The same as keyward, for asyncio.

    client = keyward.aio.Client(servers="keyward.internal:50051", token_file="/run/secrets/keyward-token")
    validator = keyward.aio.Validator(client, label="checkout")
    verdict = await validator.validate(text, scopes=["orders:read"])

A client, a validator and a secret reader belong to the event loop in which they are first used.
"""

from ._client import Client
from ._secrets import SecretReader
from ._validator import BoundText, Validator

__all__ = ["BoundText", "Client", "SecretReader", "Validator"]
