"""The client, for threads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._methods import Service
from ._options import ClientKeywords, ClientOptions
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

        def bound(service: type[Service]) -> Any:
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
    """Calls Keyward. Threads may share it, and so may processes that fork.

    Every method of every service is a function that takes the fields of its request as keywords and gives the answer, or for one that
    answers with a stream an iterator of its messages. What fails raises a KeywardError.

        client = Client(servers="keyward.internal:50051", token_file="/run/secrets/keyward-token")
        client.tokens.create_token(name="checkout", scopes=["orders:read"])
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

    def close(self) -> None:
        """Ends all connections."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
