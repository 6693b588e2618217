"""Who makes a request."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from keyward._decision import credentials_in
from keyward._memory.verdict import Principal, Verdict

from .conf import keyward_settings, validator


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


def user_of(verdict: Verdict) -> AbstractBaseUser | PrincipalUser | None:
    """The user that a verdict stands for, as the setting says; None if Django has no active one of this name."""
    if verdict.principal is None:
        return None
    if keyward_settings().user == "principal":
        return PrincipalUser(verdict.principal)
    model = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(verdict.principal.username)
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
