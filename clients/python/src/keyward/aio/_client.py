"""The client, for asyncio."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keyward._options import ClientKeywords, ClientOptions

from ._methods import AsyncService
from ._services import Accounts, Audit, Imports, Manifests, Secrets, Status, Tokens
from ._transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Methods:
    """What calls are made by."""

    def __init__(
        self, transport: Transport, timeout: float | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        own = list((metadata or {}).items())

        def bound(service: type[AsyncService]) -> Any:
            return service(transport, timeout, own)

        self._transport = transport
        self.tokens: Tokens = bound(Tokens)
        self.secrets: Secrets = bound(Secrets)
        self.accounts: Accounts = bound(Accounts)
        self.audit: Audit = bound(Audit)
        self.status: Status = bound(Status)
        self.manifests: Manifests = bound(Manifests)
        self.imports: Imports = bound(Imports)

    def with_options(
        self, *, timeout: float | None = None, metadata: Mapping[str, str] | None = None
    ) -> "_Methods":
        """The same client, for calls that take `timeout` seconds at most, or carry metadata besides that of the client.

        For a stream `timeout` is how long it may last.
        """
        return _Methods(self._transport, timeout, metadata)


class Client(_Methods):
    """Calls Keyward from asyncio.

    Every method of every service is a function that takes the fields of its request as keywords; its answer is awaited, or for one that
    answers with a stream its messages are iterated over. What fails raises a KeywardError.

        client = Client(servers="keyward.internal:50051", token_file="/run/secrets/keyward-token")
        await client.tokens.create_token(name="checkout", scopes=["orders:read"])
    """

    def __init__(self, options: ClientOptions | None = None, /, **given: "Unpack[ClientKeywords]") -> None:
        """Takes the options of ClientOptions as keywords, or all together.

        Raises ValueError if they contradict each other, and OSError if a file that they name cannot be read.
        """
        super().__init__(Transport(options if options is not None else ClientOptions(**given)))

    @property
    def transport(self) -> Transport:
        """What the calls are made by."""
        return self._transport

    async def close(self) -> None:
        """Ends all connections."""
        await self._transport.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
