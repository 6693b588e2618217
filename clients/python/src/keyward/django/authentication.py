"""Authentication for Django REST framework."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from keyward._decision import challenge, undecided
from keyward._errors import KeywardError
from keyward._memory.verdict import Verdict

from .conf import keyward_settings
from .users import judged

# Marks a request whose key is refused: the challenge says so.
_REFUSED = "_keyward_refused"


class Undecided(APIException):
    """503: nobody can tell whether the credentials pass. Retry-After says when to try again."""

    status_code = 503
    default_code = "undecided"

    def __init__(self, error: KeywardError) -> None:
        refused = undecided(error)
        super().__init__(refused.message)
        # The framework makes the header of it.
        self.wait = refused.retry_after


class KeywardAuthentication(BaseAuthentication):
    """Judges the key in the header `authorization`.

    `request.user` is what the setting USER says, and `request.auth` the verdict. Requests without such a header are left to other
    classes. Answers 401 with WWW-Authenticate to keys that are refused, and 503 with Retry-After where nobody can tell.
    """

    def authenticate(self, request: Request) -> tuple[Any, Verdict] | None:
        try:
            presented = judged(request)
        except KeywardError as error:
            raise Undecided(error) from error
        if presented is None:
            return None
        verdict, user = presented
        if user is None:
            setattr(request, _REFUSED, True)
            raise AuthenticationFailed("The credentials are refused.")
        return user, verdict

    def authenticate_header(self, request: Request) -> str:
        chosen = keyward_settings()
        is_refused = getattr(request, _REFUSED, False)
        return challenge(chosen.realm, chosen.schemes[0], "invalid_token" if is_refused else "")
