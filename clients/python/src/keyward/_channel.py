"""How connections to a server are made."""

import ipaddress
import json
import os
import pathlib
import re
import ssl
from dataclasses import dataclass, field

import grpc

DEFAULT_SERVER = "127.0.0.1:50051"

# A batch of a hundred secrets of 64 KiB is the largest answer; the library's limit is 4 MiB.
_MAX_ANSWER = 8 * 1024 * 1024

# The library would wait up to two minutes before it tries to connect again, and 20 seconds for a connection.
_RECONNECT_MS = {"initial": 50, "max": 1_000, "connect": 2_000}

# Where Linux distributions, the BSDs and macOS keep all authorities that the machine trusts in one file.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

Option = tuple[str, str | int]
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How a connection that is dead is found out while calls wait for it."""

    time: float = 2.0
    """After how many seconds without a sign of life one is asked for."""
    timeout: float = 2.0
    """How many seconds the answer may take."""


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How a server is reached. The options of a client of the same names describe them."""

    tls: bool = False
    ca: PathLike | None = None
    cert: PathLike | None = None
    key: PathLike | None = None
    plaintext: bool = False
    proxy: bool = False
    keepalive: Keepalive | None = field(default_factory=Keepalive)


def channel_of(
    server: str, settings: ChannelSettings
) -> tuple[str, grpc.ChannelCredentials | None, list[Option]]:
    """What the library's channel to a server is made of; no credentials: it is in plaintext.

    Raises ValueError if the settings contradict each other, and OSError if a file that they name cannot be read.
    """
    if not has_port(server):
        raise ValueError(f'the server "{server}" has no port: give <host>:<port>, for example {server}:50051')
    is_tls = uses_tls(server, settings)
    if settings.proxy and is_loopback(server):
        raise ValueError(f"no proxy leads to {server}, which is this machine")
    if settings.proxy and not is_tls:
        raise ValueError("a proxy would see what is sent in plaintext: use TLS with it")
    options: list[Option] = [
        ("grpc.max_receive_message_length", _MAX_ANSWER),
        # Otherwise the library obeys http_proxy, even on loopback and in plaintext.
        ("grpc.enable_http_proxy", int(settings.proxy)),
        # A name may stand for several servers.
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS["initial"]),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS["max"]),
        ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS["connect"]),
        ("grpc.dns_min_time_between_resolutions_ms", _RECONNECT_MS["max"]),
        # Clients share no connections, so that each is ended with its own.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if settings.keepalive is not None:
        options += [
            ("grpc.keepalive_time_ms", round(settings.keepalive.time * 1000)),
            ("grpc.keepalive_timeout_ms", round(settings.keepalive.timeout * 1000)),
            # Otherwise it stops to ask after the second time.
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return server, _tls_credentials(settings) if is_tls else None, options


def uses_tls(server: str, settings: ChannelSettings) -> bool:
    """Whether a channel to a server with these settings is TLS."""
    asks_for_tls = settings.tls or any((settings.ca, settings.cert, settings.key))
    if settings.plaintext and asks_for_tls:
        raise ValueError("plaintext does not go with tls, ca, cert or key")
    if (settings.cert is None) != (settings.key is None):
        raise ValueError("cert and key must be given together")
    return asks_for_tls or (not settings.plaintext and not is_loopback(server))


def is_loopback(server: str) -> bool:
    """Whether a server's address, in any form that gRPC takes, certainly stays on this machine.

    That is a Unix socket, `localhost`, or loopback addresses alone. What it does not know is not: a name that only begins like one, a
    name server of one's own (`dns://10.0.0.1/localhost`).
    """
    if server.startswith("unix:"):
        return True
    listed = re.match(r"ipv[46]:(.*)\Z", server, re.DOTALL)
    if listed:
        return all(_is_loopback_ip(_host_of(address)) for address in listed[1].split(","))
    host = _host_of(re.sub(r"^dns:(///)?", "", server))
    return host.lower() == "localhost" or _is_loopback_ip(host)


def has_port(server: str) -> bool:
    """Whether an address names a port; without one gRPC takes 443, where no Keyward is."""
    return server.startswith("unix") or (bool(re.search(r":\d+\Z", server)) and not _is_ip(server))


def _host_of(address: str) -> str:
    """Leaves the port and the brackets of an IPv6 address out."""
    if _is_ip(address):
        return address
    return re.sub(r"^\[(.*)\]\Z", r"\1", re.sub(r":\d+\Z", "", address), flags=re.DOTALL)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback_ip(host: str) -> bool:
    return _is_ip(host) and ipaddress.ip_address(host).is_loopback


def _tls_credentials(settings: ChannelSettings) -> grpc.ChannelCredentials:
    def content(file: PathLike | None) -> bytes | None:
        return None if file is None else pathlib.Path(file).read_bytes()

    return grpc.ssl_channel_credentials(
        content(settings.ca or _system_authorities()), content(settings.key), content(settings.cert)
    )


def _system_authorities() -> PathLike | None:
    """The authorities that this machine trusts. Where it keeps none, they are those that come with the library."""
    named = os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH") or os.environ.get("SSL_CERT_FILE")
    candidates = [named] if named else [ssl.get_default_verify_paths().cafile, *_SYSTEM_FILES]
    return next((file for file in candidates if file and (named or os.path.exists(file))), None)
