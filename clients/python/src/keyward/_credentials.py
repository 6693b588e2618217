"""The caller's own token."""

import os
import pathlib
import re
import threading
import time
from collections.abc import Awaitable, Callable

_FRESH_SECONDS = 1.0
"""How long a token that was read from a file is taken without a look whether the file has changed."""
_SENDABLE = re.compile(r"[\x20-\x7e]*\Z")


class TokenSource:
    """Gives the caller's own token, or None where the caller has none."""

    def get(self) -> "str | Awaitable[str] | None":
        return None

    def refused(self) -> bool:
        """Tells that the token was refused, and whether there may be another one now."""
        return False


def token_source(
    token: str | None,
    token_file: "str | os.PathLike[str] | None",
    get_token: "Callable[[], str | Awaitable[str]] | None",
) -> TokenSource:
    """Raises ValueError if several were given, or the token cannot be sent, and OSError if the file cannot be read."""
    if sum(given is not None for given in (token, token_file, get_token)) > 1:
        raise ValueError("give one of token, token_file and get_token")
    if token_file is not None:
        return _TokenFile(pathlib.Path(token_file))
    if get_token is not None:
        return _TokenFunction(get_token)
    return TokenSource() if token is None else _Token(token)


def sendable(token: str) -> str:
    """Lets through what a header can carry. The library's own refusal would quote the token."""
    if not _SENDABLE.match(token):
        raise ValueError("the caller's token holds characters that no header can carry")
    return token


class _Token(TokenSource):
    def __init__(self, token: str) -> None:
        self._token = sendable(token)

    def get(self) -> str:
        return self._token


class _TokenFunction(TokenSource):
    def __init__(self, get_token: "Callable[[], str | Awaitable[str]]") -> None:
        self._get_token = get_token

    def get(self) -> "str | Awaitable[str]":
        return self._get_token()

    def refused(self) -> bool:
        return True


class _TokenFile(TokenSource):
    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._token = ""
        self._version: tuple[int, int, int] | None = None
        self._look()

    def get(self) -> str:
        if time.monotonic() - self._looked_at > _FRESH_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._look_again()
            finally:
                self._lock.release()
        return self._token

    def refused(self) -> bool:
        before = self._token
        self._look_again()
        return self._token != before

    def _look_again(self) -> None:
        """A file that is being replaced may not be there for a moment: the token from before goes on until it is."""
        try:
            self._look()
        except (OSError, ValueError):
            self._looked_at = time.monotonic()

    def _look(self) -> None:
        status = self._file.stat()
        version = (status.st_mtime_ns, status.st_ino, status.st_size)
        if version != self._version:
            token = self._file.read_text().strip()
            if not token:
                raise ValueError(f"{self._file} holds no token")
            self._token = sendable(token)
            self._version = version
        self._looked_at = time.monotonic()
