"""Keyward for FastAPI.

keys = KeywardAuth(servers="keyward.internal:50051", token_file="/run/secrets/keyward-token")
app = FastAPI(lifespan=keys.lifespan)

@app.get("/orders")
async def orders(verdict: Annotated[Verdict, Depends(keys.require("orders:read"))]): ...
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request

from ._decision import Refused, credentials_in, refused_by, unauthorized, undecided
from ._errors import KeywardError
from ._memory.verdict import Verdict
from ._options import ClientKeywords
from ._texts import checked_scopes
from .aio import Client, Validator

if TYPE_CHECKING:
    from typing_extensions import Unpack

_TIMEOUT = 2.0


class KeywardAuth:
    """Judges the keys of requests. Which may not pass is answered 401, 403 for a missing scope, or 503 where nobody can tell."""

    def __init__(
        self,
        *,
        label: str = "fastapi",
        realm: str = "api",
        max_entries: int = 10_000,
        **options: "Unpack[ClientKeywords]",
    ) -> None:
        """Takes the options of a client besides. `timeout` is the seconds until a request is answered with 503 if nobody can tell
        whether its credentials pass: 2 if not given.

        realm: the realm of challenges.
        """
        self._timeout = options.setdefault("timeout", _TIMEOUT)
        self._client = Client(**options)
        self._validator = Validator(self._client, label=label, max_entries=max_entries)
        self._realm = realm

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Ends what it holds when the application stops."""
        try:
            yield
        finally:
            await self._validator.close()
            await self._client.close()

    def require(self, *scopes: str) -> Callable[[Request], Awaitable[Verdict]]:
        """A dependency: the verdict on the request's key, which holds all of these scopes."""
        needed = checked_scopes(scopes)

        async def judge(request: Request) -> Verdict:
            header = (
                request.headers.get("authorization", "").encode("latin-1").decode(errors="surrogateescape")
            )
            text = credentials_in(header, ("Bearer",))
            if text is None:
                raise _exception(unauthorized(self._realm, is_presented=False))
            try:
                verdict = await self._validator.validate(text, needed, timeout=self._timeout)
            except KeywardError as error:
                raise _exception(undecided(error)) from error
            refused = refused_by(verdict, self._realm, needed)
            if refused is not None:
                raise _exception(refused)
            return verdict

        return judge


def _exception(refused: Refused) -> HTTPException:
    return HTTPException(refused.status, refused.message, refused.headers)
