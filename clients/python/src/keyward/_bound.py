"""Texts that connections present again and again."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from ._memory.entries import Entry
from ._memory.memory import VerdictMemory
from ._texts import TextKeys, bytes_of


class BaseBoundText:
    """A text that is hashed once in a process."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.data = bytes_of(text)
        self._keys: TextKeys | None = None
        self._key = b""
        self._entry: Entry | None = None

    def key_by(self, keys: TextKeys) -> bytes:
        """Its key. A child after a fork has other keys, and another memory."""
        if self._keys is not keys and self.data is not None:
            self._entry = None
            self._key = keys.of(self.data)
            self._keys = keys
        return self._key

    def entry_in(self, memory: VerdictMemory, keys: TextKeys) -> Entry | None:
        """What a memory, to which the keys belong, holds of it."""
        key = self.key_by(keys)
        if self._entry is None or not self._entry.is_held:
            self._entry = memory.entry_of(key)
        return self._entry


B = TypeVar("B", bound=BaseBoundText)


class BoundTexts(Generic[B]):
    """Bound texts, by their keys."""

    def __init__(self, keys: TextKeys, bound: Iterable[B] = ()) -> None:
        self._keys = keys
        self._by_key: dict[bytes, set[B]] = {}
        for each in bound:
            self.add(each)

    def add(self, bound: B) -> None:
        self._by_key.setdefault(bound.key_by(self._keys), set()).add(bound)

    def remove(self, bound: B) -> bool:
        """Tells whether it was there."""
        others = self._by_key.get(bound.key_by(self._keys))
        if others is None or bound not in others:
            return False
        others.remove(bound)
        if not others:
            del self._by_key[bound.key_by(self._keys)]
        return True

    def all(self) -> list[B]:
        return [each for bound in self._by_key.values() for each in bound]

    def of(self, entries: Iterable[Entry]) -> list[B]:
        """Those of some entries."""
        return [each for entry in entries for each in self._by_key.get(entry.key, ())]
