"""What becomes of clients in a child process."""

import os
import weakref
from collections.abc import Callable
from typing import Any

# Destroying what belongs to the parent's threads would touch them: it is kept, and never used.
_abandoned: list[object] = []
_after: list["weakref.WeakMethod[Callable[[], object]]"] = []


def after_fork(begin_anew: Callable[[], object]) -> None:
    """Has a method of an object called in every child of this process. It gives what is not to be destroyed there."""
    _after[:] = [each for each in _after if each() is not None]
    _after.append(weakref.WeakMethod(begin_anew))


def _in_child() -> None:
    for each in _after:
        begin_anew: Callable[[], Any] | None = each()
        if begin_anew is not None:
            _abandoned.append(begin_anew())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
