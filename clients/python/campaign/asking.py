"""Asks a validator about one credential after the other, first its memory alone."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import keyward
import keyward.aio

CHANGED_EVERY = 3
"""One of so many stretches is about a token that somebody changes."""
AT_A_STRETCH_MS = 0.5
"""Of equal answers the first and the last are enough if they are no further apart."""

Known = dict[str, Any]
Said = dict[str, Any]
Ask = Callable[[], keyward.Verdict | None]
Validator = keyward.Validator | keyward.aio.Validator


class Asking:
    """What a process asks for, and what it was answered. Threads may share it."""

    def __init__(self, validator: Validator, *, seed: int, stretch: int) -> None:
        self._validator = validator
        self._random = random.Random(seed)
        self._stretch = stretch
        self._lock = threading.Lock()
        self._known: list[Known] = []
        self._asks: dict[int, Ask] = {}
        # Credentials that are being asked for by a call.
        self._under_way: set[int] = set()
        self._said: list[Said] = []

    def know(self, known: list[Known]) -> None:
        """Asks for these from now on."""
        numbers = {each["number"] for each in known}
        with self._lock:
            self._known = known
            self._asks = {number: ask for number, ask in self._asks.items() if number in numbers}

    def pick(self) -> Known | None:
        with self._lock:
            is_changed = self._random.randrange(CHANGED_EVERY) == 0
            among = [each for each in self._known if each["isBystander"] != is_changed]
            return self._random.choice(among) if among else None

    def held(self, known: list[Known]) -> int:
        return sum(self._ask_of(each)() is not None for each in known)

    def ask(self, known: Known) -> bool:
        """Asks memory. Tells whether a call has to ask, which `answered` or `failed` then ends."""
        number = known["number"]
        said = ask_at_a_stretch(number, self._ask_of(known), self._stretch)
        with self._lock:
            self._said += said
            if sum(each["count"] for each in said) == self._stretch or number in self._under_way:
                return False
            self._under_way.add(number)
            return True

    def answered(self, known: Known, started_at: float, verdict: keyward.Verdict) -> None:
        self._called(known, started_at, answer_of(verdict))

    def failed(self, known: Known, started_at: float, error: keyward.KeywardError) -> None:
        """Tells the code of an outage, and of whatever else all that is known."""
        code = error.code.name
        is_outage = code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
        self._called(known, started_at, {"failure": code if is_outage else str(error)})

    def taken(self) -> list[Said]:
        """What was said since it was taken last."""
        with self._lock:
            taken, self._said = self._said, []
            return taken

    def _called(self, known: Known, started_at: float, answer: dict[str, Any]) -> None:
        number = known["number"]
        with self._lock:
            self._under_way.discard(number)
            self._said.append(said_of(number, answer, [span_from(started_at)], 1, is_from_memory=False))

    def _ask_of(self, known: Known) -> Ask:
        """Every second credential is bound, as that of a connection that is kept alive."""
        number, text = known["number"], known["plaintext"]
        with self._lock:
            ask = self._asks.get(number)
            if ask is None:
                validator = self._validator
                is_bound = number % 2 == 0
                ask = (
                    validator.bind(text).validate_cached
                    if is_bound
                    else lambda: validator.validate_cached(text)
                )
                self._asks[number] = ask
            return ask


def ask_at_a_stretch(number: int, ask: Ask, most: int) -> list[Said]:
    """Asks memory again and again, until it has no answer or another one.

    The time is taken before each question, so that no answer is taken for a later one than it is.
    """
    spans: list[Said] = []
    first: dict[str, Any] | None = None
    while len(spans) < most:
        started_at = machine_now()
        verdict = ask()
        if verdict is None:
            break
        span = span_from(started_at)
        answer = answer_of(verdict)
        if first is not None and answer != first:
            return [*_condensed(number, first, spans), said_of(number, answer, [span], 1)]
        first = answer
        spans.append(span)
    return [] if first is None else _condensed(number, first, spans)


def _condensed(number: int, answer: dict[str, Any], spans: Sequence[Said]) -> list[Said]:
    """Where a process stood still between the first and the last, all are reported."""
    first, last = spans[0], spans[-1]
    if len(spans) > 1 and last["endedAt"] - first["startedAt"] <= AT_A_STRETCH_MS:
        return [said_of(number, answer, [first, last], len(spans))]
    return [said_of(number, answer, [span], 1) for span in spans]


def said_of(
    number: int, answer: dict[str, Any], spans: Sequence[Said], count: int, *, is_from_memory: bool = True
) -> Said:
    return {
        "credential": number,
        "isFromMemory": is_from_memory,
        "answer": answer,
        "spans": spans,
        "count": count,
    }


def answer_of(verdict: keyward.Verdict) -> dict[str, Any]:
    return {"verdict": verdict.reason, "valid": verdict.valid, "stale": verdict.stale}


def span_from(started_at: float) -> Said:
    return {"startedAt": started_at, "endedAt": machine_now()}


def machine_now() -> float:
    """Milliseconds by a clock that all processes of this machine share and that nobody sets."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e6
