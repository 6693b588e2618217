"""Requests, made of what is given as keywords."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

_M = TypeVar("_M", bound=Message)

# What selectors may be given as in short, by the field that it is of.
_SHORT = {"locator": "record_locator", "account": "account_number"}


def request_of(message: type[_M], fields: Mapping[str, Any]) -> _M:
    """Makes a request. Raises TypeError or ValueError that names a field which it has not, or has in another form."""
    return message(**_message(cast(Descriptor, message.DESCRIPTOR), fields, ""))


def time_of(message: Message, field: str) -> datetime | None:
    """A time of an answer, in UTC, such as `time_of(token, "expires_at")`; None if it is not set."""
    if not message.HasField(field):
        return None
    time: datetime = getattr(message, field).ToDatetime(tzinfo=timezone.utc)
    return time


def _message(described: Descriptor, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    fields = described.fields_by_name
    whole = _expanded(described, given) if described.name.endswith("Selector") else given
    for name in whole:
        if name not in fields:
            raise TypeError(f"{path}{name} is no field of {described.name}; it has {', '.join(fields)}")
    return {
        name: _value(fields[name].message_type, value, f"{path}{name}")
        for name, value in whole.items()
        if value is not None
    }


def _value(described: Descriptor | None, value: Any, path: str) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{path} must be a datetime with a time zone")
    if described is None or described.GetOptions().map_entry:
        return value
    if isinstance(value, list | tuple):
        return [_value(described, each, f"{path}[{at}]") for at, each in enumerate(value)]
    if isinstance(value, Mapping) and described.file.package.startswith("keyward"):
        return _message(described, value, f"{path}.")
    return value


def _expanded(described: Descriptor, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Writes a selector's short form out.

    What has several fields is a message within the selector: its fields may be given as the selector's own, so `{name, account}` is
    `{owned_name: {name, account_number: account}}`.
    """
    named = {
        name if name in described.fields_by_name else _SHORT.get(name, name): value
        for name, value in given.items()
        if value is not None
    }
    if all(name in described.fields_by_name for name in named):
        return named
    for field in described.fields:
        within = field.message_type
        if within is not None and all(name in within.fields_by_name for name in named):
            return {field.name: named}
    return named
