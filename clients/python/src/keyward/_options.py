"""The options of a client."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from ._channel import DEFAULT_SERVER, ChannelSettings, Keepalive, PathLike, channel_of
from ._credentials import TokenSource, token_source


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientOptions:
    """How a client finds the service, what it shows, and how long it waits."""

    servers: str | Sequence[str] = DEFAULT_SERVER
    """One host:port of the service, or several. Calls go to all in turn, and to all addresses that a name stands for.

    On loopback (127.0.0.0/8, ::1, localhost, a Unix socket) the channel is plaintext unless `tls`, `ca` or `cert` is given; anywhere
    else it is TLS unless `plaintext` is.
    """
    token: str | None = None
    """The caller's own token, sent as `authorization: Bearer`."""
    token_file: PathLike | None = None
    """A file with that token. It is read again when it has changed, as mounted secrets do."""
    get_token: Callable[[], str | Awaitable[str]] | None = None
    """Gives that token for each call. One that is awaited is for asyncio alone."""
    tls: bool = False
    """Use TLS on loopback too."""
    ca: PathLike | None = None
    """File of the authorities, PEM, that the server's certificate is checked against; this machine's if not given."""
    cert: PathLike | None = None
    """File of the caller's certificate chain, PEM, for mutual TLS."""
    key: PathLike | None = None
    """File of its private key, PEM."""
    plaintext: bool = False
    """Send everything, the token too, unencrypted: only for a network that encrypts by itself."""
    proxy: bool = False
    """Connect through the proxy that `grpc_proxy`, `https_proxy` or `http_proxy` names, with TLS, and never to loopback."""
    timeout: float | None = None
    """Seconds that a call may take with all its repetitions. If not given, 300 for those that may delete any number of tokens
    (RevokeUserTokens, DeleteUser, DeleteUserProfile, DeleteAccount) and 10 for others. Streams have no limit."""
    retry: bool = True
    """Whether calls that fail with UNAVAILABLE are made again, until their time is over, where that cannot do anything twice."""
    keepalive: Keepalive | None = field(default_factory=Keepalive)
    """When a connection over which nothing comes is given up; None: only when the machine says so."""
    metadata: Mapping[str, str] | None = None
    """Metadata for every call."""

    def addresses(self) -> list[str]:
        """The servers. Raises ValueError if there is none, or if what is said of them contradicts itself."""
        listed = [self.servers] if isinstance(self.servers, str) else list(dict.fromkeys(self.servers))
        if not listed:
            raise ValueError("servers names none")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError("timeout must be above 0 seconds")
        for server in listed:
            channel_of(server, self.channel_settings())
        return listed

    def channel_settings(self) -> ChannelSettings:
        return ChannelSettings(
            tls=self.tls,
            ca=self.ca,
            cert=self.cert,
            key=self.key,
            plaintext=self.plaintext,
            proxy=self.proxy,
            keepalive=self.keepalive,
        )

    def token_source(self) -> TokenSource:
        return token_source(self.token, self.token_file, self.get_token)


class ClientKeywords(TypedDict, total=False):
    """The fields of ClientOptions, as keywords."""

    servers: str | Sequence[str]
    token: str | None
    token_file: PathLike | None
    get_token: Callable[[], str | Awaitable[str]] | None
    tls: bool
    ca: PathLike | None
    cert: PathLike | None
    key: PathLike | None
    plaintext: bool
    proxy: bool
    timeout: float | None
    retry: bool
    keepalive: Keepalive | None
    metadata: Mapping[str, str] | None
