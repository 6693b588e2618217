"""Permissions for Django REST framework."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from keyward._decision import insufficient
from keyward._memory.verdict import Verdict
from keyward._texts import checked_scopes

from .conf import keyward_settings


class HasScope(BasePermission):
    """Lets requests pass whose key holds all scopes that the view's `required_scopes` lists.

    `required_scopes` may be a list, or lists by the request's method. `HasScope.of("orders:read")` is a permission that needs no attribute
    of the view. Who lacks a scope is answered 403, who has presented no key 401.
    """

    scopes: Sequence[str] | None = None

    @classmethod
    def of(cls, *scopes: str) -> type["HasScope"]:
        """A permission for these scopes."""
        return type(f"HasScope({', '.join(scopes)})", (cls,), {"scopes": checked_scopes(scopes)})

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Verdict):
            return False
        scopes = self._needed(request, view)
        if request.auth.covers(*scopes):
            return True
        refused = insufficient(keyward_settings().realm, scopes)
        denied = PermissionDenied(refused.message)
        # The framework makes WWW-Authenticate of it.
        denied.auth_header = refused.headers["WWW-Authenticate"]  # type: ignore[attr-defined]
        raise denied

    def _needed(self, request: Request, view: Any) -> tuple[str, ...]:
        needed = self.scopes if self.scopes is not None else getattr(view, "required_scopes", None)
        if isinstance(needed, Mapping):
            needed = needed.get(request.method)
        if needed is None:
            raise AttributeError(
                f"{type(view).__name__} has HasScope, and no required_scopes for {request.method}"
            )
        return checked_scopes(needed)
