"""System checks: `manage.py check` names what is wrong with the setting KEYWARD."""

import difflib
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from .conf import NAMES, parsed


@register("keyward")
def check_settings(**_: Any) -> list[CheckMessage]:
    given = getattr(settings, "KEYWARD", None)
    if given is None:
        return [
            Error("The setting KEYWARD is missing.", hint="docs/clients.md describes it.", id="keyward.E001")
        ]
    if not isinstance(given, dict):
        return [Error("The setting KEYWARD must be a dictionary.", id="keyward.E002")]
    found: list[CheckMessage] = []
    for name in given:
        if name not in NAMES:
            near = difflib.get_close_matches(str(name).upper(), NAMES, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(NAMES)}."
            found.append(Error(f"KEYWARD has no {name!r}.", hint=hint, id="keyward.E003"))
    for name in NAMES:
        if name in given:
            try:
                parsed({name: given[name]})
            except ImproperlyConfigured as error:
                # What goes only with another setting is found below, with all of them together.
                if "together" not in str(error):
                    found.append(Error(str(error), id="keyward.E004"))
    if not found:
        try:
            parsed(given)
        except ImproperlyConfigured as error:
            found.append(Error(str(error), id="keyward.E005"))
    if not any(name in given for name in ("TOKEN", "TOKEN_FILE", "CERT")):
        found.append(
            checks.Warning(
                "KEYWARD names no credentials of this service: TOKEN_FILE, TOKEN, or CERT and KEY.",
                id="keyward.W001",
            )
        )
    return found
