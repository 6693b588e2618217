"""Who makes a request."""

import copy
import threading
import time
from collections import OrderedDict
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.signals import setting_changed

from keyward._decision import credentials_in
from keyward._memory.verdict import Principal, Verdict

from .conf import keyward_settings, validator

_MAX_READ = 1000
"""Users of Django that a process remembers at most."""
_clock = time.monotonic


class PrincipalUser:
    """A user made of a verdict, for projects that keep no users of their own."""

    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.pk = self.id = principal.user_id
        self.username = principal.username
        self.is_staff = principal.is_staff
        self.is_superuser = principal.is_superuser

    def get_username(self) -> str:
        return self.username

    def __str__(self) -> str:
        return self.username

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrincipalUser) and self.pk == other.pk

    def __hash__(self) -> int:
        return hash(self.pk)


class ReadUsers:
    """Active users of Django as they were read, each for some seconds.

    Every request has a user of its own: what a view makes of it stays with that request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # With the time at which each was read, the one that was used last at the end.
        self._read: OrderedDict[str, tuple[float, AbstractBaseUser]] = OrderedDict()

    def get(self, username: str, seconds: float) -> AbstractBaseUser | None:
        with self._lock:
            at, user = self._read.get(username, (0.0, None))
            if user is None or _clock() - at >= seconds:
                return None
            self._read.move_to_end(username)
        return copy.copy(user)

    def keep(self, username: str, at: float, user: AbstractBaseUser) -> None:
        kept = copy.copy(user)
        with self._lock:
            self._read[username] = (at, kept)
            self._read.move_to_end(username)
            if len(self._read) > _MAX_READ:
                self._read.popitem(last=False)

    def forget(self, **_: object) -> None:
        """Is what a change in this process does."""
        with self._lock:
            self._read.clear()


def user_of(verdict: Verdict) -> AbstractBaseUser | PrincipalUser | None:
    """The user that a verdict stands for, as the setting says; None if Django has no active one of this name."""
    if verdict.principal is None:
        return None
    chosen = keyward_settings()
    if chosen.user == "principal":
        return PrincipalUser(verdict.principal)
    username = verdict.principal.username
    if chosen.user_seconds == 0:
        return _read_user(username)
    user = read_users.get(username, chosen.user_seconds)
    if user is None:
        at = _clock()
        user = _read_user(username)
        if user is not None:
            read_users.keep(username, at, user)
    return user


def _read_user(username: str) -> AbstractBaseUser | None:
    model = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(username)
    except model.DoesNotExist:
        return None
    return user if user.is_active else None


def judged(request: Any) -> tuple[Verdict, AbstractBaseUser | PrincipalUser | None] | None:
    """The verdict on the key that a request presents, and whose it is: nobody's if it is refused. None: it presents no key.

    Raises KeywardError if nobody can tell.
    """
    chosen = keyward_settings()
    # Headers are bytes in Latin-1; keys are any text, in UTF-8.
    header = (
        request.META.get("HTTP_AUTHORIZATION", "")
        .encode("latin-1", "replace")
        .decode(errors="surrogateescape")
    )
    text = credentials_in(header, chosen.schemes)
    if text is None:
        return None
    verdict = validator().validate(text, timeout=chosen.timeout)
    return verdict, user_of(verdict) if verdict.valid else None


read_users = ReadUsers()
setting_changed.connect(read_users.forget)
