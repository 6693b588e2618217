"""The setting KEYWARD, and what is made of it once in a process."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from keyward._client import Client
from keyward._holding import Who
from keyward._memory.memory import MAX_NAMED
from keyward._options import ClientOptions
from keyward._validator import Validator

# Options of the client that the setting takes in capitals.
CLIENT_OPTIONS = ("servers", "token", "token_file", "tls", "ca", "cert", "key", "plaintext", "proxy")


@dataclass(frozen=True, slots=True)
class KeywardSettings:
    """What the setting KEYWARD says, with defaults."""

    client: ClientOptions = field(default_factory=ClientOptions)
    timeout: float = 2.0
    """Seconds until a request is answered with 503 if nobody can tell whether its credentials pass."""
    label: str = "django"
    max_entries: int = MAX_NAMED
    realm: str = "api"
    schemes: Sequence[str] = ("Bearer", "Token")
    """Words that may stand before the text in the header `authorization`, in any case."""
    user: str = "model"
    """`model`: request.user is the active user of Django with the username; `principal`: one made of the verdict."""
    user_seconds: float = 0.0
    """Seconds for which a process goes by what it has read of a user of Django; 0: every request reads it."""


OWN_OPTIONS = {each.name: each.default for each in fields(KeywardSettings) if each.default is not MISSING}
TYPES: Mapping[str, tuple[type, ...]] = {
    "timeout": (int, float),
    "user_seconds": (int, float),
    "max_entries": (int,),
    "schemes": (list, tuple),
    "tls": (bool,),
    "plaintext": (bool,),
    "proxy": (bool,),
    "servers": (str, list, tuple),
}
MAX_USER_SECONDS = 3600
NAMES = tuple(name.upper() for name in (*CLIENT_OPTIONS, *OWN_OPTIONS))


def parsed(given: Mapping[str, Any]) -> KeywardSettings:
    """Raises ImproperlyConfigured that names the first setting that is wrong."""
    for name, value in given.items():
        if name not in NAMES:
            raise ImproperlyConfigured(f"KEYWARD has no {name!r}; it has {', '.join(NAMES)}")
        types = TYPES.get(name.lower())
        if types is not None and (
            not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        ):
            raise ImproperlyConfigured(
                f"KEYWARD[{name!r}] must be {' or '.join(each.__name__ for each in types)}, and is {type(value).__name__}"
            )
    lower = {name.lower(): value for name, value in given.items()}
    own = {name: value for name, value in lower.items() if name in OWN_OPTIONS}
    try:
        client = ClientOptions(**{name: value for name, value in lower.items() if name in CLIENT_OPTIONS})
        client.addresses()
        client.token_source()
        made = KeywardSettings(client, **own)
        Who(made.label, made.max_entries)
        if made.timeout <= 0:
            raise ValueError("TIMEOUT must be above 0 seconds")
        if not 0 <= made.user_seconds <= MAX_USER_SECONDS:
            raise ValueError(f"USER_SECONDS must be 0 to {MAX_USER_SECONDS}")
        if made.user not in ("model", "principal"):
            raise ValueError("USER must be 'model' or 'principal'")
    except (ValueError, TypeError, OSError) as error:
        raise ImproperlyConfigured(f"KEYWARD: {error}") from error
    return made


@functools.lru_cache(maxsize=1)
def keyward_settings() -> KeywardSettings:
    """What the setting KEYWARD says. Raises ImproperlyConfigured if it is wrong."""
    return parsed(getattr(settings, "KEYWARD", {}))


@functools.lru_cache(maxsize=1)
def client() -> Client:
    """The client of this process, and of its children."""
    return Client(keyward_settings().client)


@functools.lru_cache(maxsize=1)
def validator() -> Validator:
    """The validator of this process, and of its children, each with a memory of its own."""
    chosen = keyward_settings()
    return Validator(client(), label=chosen.label, max_entries=chosen.max_entries)


def _changed(*, setting: str, **_: object) -> None:
    """Tests change settings."""
    if setting == "KEYWARD":
        if validator.cache_info().currsize:
            validator().close()
        for made in (validator, client, keyward_settings):
            made.cache_clear()


setting_changed.connect(_changed)
