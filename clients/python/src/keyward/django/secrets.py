"""Secrets in settings.

from keyward.django.secrets import Secrets

SECRETS = Secrets(KEYWARD, label="shop")
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", ..., "PASSWORD": SECRETS["db-password"]}}
"""

from collections.abc import Mapping
from typing import Any

from keyward._client import Client
from keyward._errors import KeywardError
from keyward._memory.shelf import SecretValue
from keyward._secrets import SecretName, SecretReader, is_passing

from .conf import parsed


class Secrets:
    """Values of secrets that settings name. Nothing is fetched before it is used.

    It keeps values in memory under a lease of the service, so each is what it is now. The service's token needs the scopes
    `keyward.secrets.access` and `keyward.tokens.cache`.
    """

    def __init__(self, keyward: Mapping[str, Any], *, label: str = "django") -> None:
        """Takes the setting KEYWARD. Raises ImproperlyConfigured if it is wrong."""
        chosen = parsed(keyward)
        self._reader = SecretReader(Client(chosen.client), label=label, keep=True)
        self._timeout = chosen.timeout

    def __getitem__(self, name: SecretName) -> "SecretText":
        """The value of a secret as a text that changes with it. It is known by the name, or by a selector."""
        return SecretText(self._reader, name, self._timeout)


class SecretText:
    """A text that is, whenever `str` asks for it, what the secret is then.

    psycopg asks with every connection that it opens, so a database's password follows the rotations of its secret: connections that are
    open go on, and new ones have the new password. While the service cannot be reached it stays what it was last.
    """

    def __init__(self, reader: SecretReader, name: SecretName, timeout: float) -> None:
        self._reader = reader
        self._name = name
        self._timeout = timeout
        self._last: SecretValue | None = None

    def __str__(self) -> str:
        try:
            self._last = self._reader.get(self._name, timeout=self._timeout)
        except KeywardError as error:
            if self._last is None or not is_passing(error):
                self._last = None
                raise
        return self._last.text

    def __repr__(self) -> str:
        return f"<secret {self._name!r}>"

    def __deepcopy__(self, memo: object) -> "SecretText":
        return self
