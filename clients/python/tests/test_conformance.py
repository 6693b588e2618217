"""The memory does, step by step, what those of the other languages do."""

import base64
import json
import pathlib

import pytest

from keyward._memory.memory import VerdictMemory
from keyward._memory.moment import Moment, nanoseconds
from keyward._memory.shelf import SecretValue
from keyward.secret.v1.secret_service_pb2 import AccessSecretRequest
from keyward.token.v1.hold_verdicts_pb2 import (
    HoldAccessed,
    HoldFacts,
    HoldGrant,
    HoldInvalidation,
    HoldOpened,
)

FILE = pathlib.Path(__file__).parents[3] / "test" / "vectors" / "conformance.json"


@pytest.mark.parametrize("sequence", json.loads(FILE.read_text()))
def test_a_sequence(sequence):
    driven = Driven(sequence["maxEntries"], sequence["maxSecrets"])
    for at, step in enumerate(sequence["steps"]):
        expected = {name: value for name, value in step.items() if name in driven.TELLS[step["do"]]}
        told = getattr(driven, step["do"])(step)
        assert told == expected, f"step {at}: {step}"


class Driven:
    """A memory to which everything of a sequence happens. Each method gives what the memory did."""

    TELLS = {
        "pass": (),
        "open": ("stream", "position", "handles", "owners", "secretIds"),
        "opened": ("forgets", "forgetsSecrets"),
        "lookUp": ("id",),
        "facts": ("answers", "again"),
        "access": ("id",),
        "accessed": ("answers", "again"),
        "renewal": ("number", "released", "uses", "secretUses"),
        "grant": ("granted",),
        "invalidate": ("acknowledges", "forgets", "forgetsSecrets"),
        "end": ("answers",),
        "judge": ("gives", "isLeased", "size"),
        "get": ("gives",),
    }

    def __init__(self, max_entries, max_secrets):
        self.memory = VerdictMemory(max_entries, max_secrets)
        self.now = Moment(1_000_000_000_000, 1_700_000_000_000_000_000)
        self.answers = []
        setattr(self, "pass", self.pass_time)

    def pass_time(self, step):
        self.now = Moment(
            self.now.monotonic + step["monotonicMs"] * 1_000_000, self.now.wall + step["wallMs"] * 1_000_000
        )
        return {}

    def open(self, step):
        stream, opening = self.memory.open_stream()
        position = (
            f"{opening.position.epoch}/{opening.position.revision}" if opening.HasField("position") else None
        )
        return {
            "stream": stream,
            "position": position,
            "handles": listed(handle for owned in opening.tokens for handle in owned.handles),
            "owners": listed(owned.user_profile_id for owned in opening.tokens),
            "secretIds": listed(opening.secret_ids),
        }

    def opened(self, step):
        forgotten = self.memory.opened(HoldOpened.FromString(message_of(step)))
        return {"forgets": len(forgotten.entries), "forgetsSecrets": len(forgotten.secrets)}

    def lookUp(self, step):  # noqa: N802
        def settle(answer):
            gives = answer(()).reason if callable(answer) else error_of(answer)
            self.answers.append({"text": step["text"], "gives": gives})

        sent = self.memory.look_up(step["stream"], step["text"].encode(), lambda: bytes(64), settle, self.now)
        return {"id": None if sent is None else str(sent.id)}

    def facts(self, step):
        again = self.memory.facts(step["stream"], HoldFacts.FromString(message_of(step)), self.now)
        return {"answers": self.taken(), "again": [str(text.id) for text in again]}

    def access(self, step):
        def settle(answer):
            gives = answer.text if isinstance(answer, SecretValue) else error_of(answer)
            self.answers.append({"text": step["name"], "gives": gives})

        sent = self.memory.secrets.access(
            step["stream"], step["name"], AccessSecretRequest(), settle, self.now
        )
        return {"id": None if sent is None else str(sent.id)}

    def accessed(self, step):
        again = self.memory.secrets.accessed(
            step["stream"], HoldAccessed.FromString(message_of(step)), self.now
        )
        return {"answers": self.taken(), "again": [] if again is None else [str(again.id)]}

    def renewal(self, step):
        renewal = self.memory.renewal(step["stream"], self.now)
        return {
            "number": str(renewal.number),
            "released": listed(renewal.released),
            "uses": {use.key_id: told(use) for use in renewal.uses},
            "secretUses": {str(use.secret_id): told(use) for use in renewal.secret_uses},
        }

    def grant(self, step):
        return {"granted": self.memory.grant(step["stream"], HoldGrant.FromString(message_of(step)))}

    def invalidate(self, step):
        invalidation = HoldInvalidation.FromString(message_of(step))
        acknowledgement, forgotten = self.memory.invalidate(step["stream"], invalidation)
        return {
            "acknowledges": str(acknowledgement.number),
            "forgets": len(set(forgotten.entries)),
            "forgetsSecrets": len(forgotten.secrets),
        }

    def end(self, step):
        self.memory.stream_ended(step["stream"])
        return {"answers": self.taken()}

    def judge(self, step):
        entry = self.memory.entry_of(step["text"].encode())
        verdict = None if entry is None else self.memory.judge(entry, tuple(step["scopes"]), self.now)
        return {
            "gives": verdict and verdict.reason,
            "isLeased": self.memory.is_leased(self.now),
            "size": self.memory.size,
        }

    def get(self, step):
        value = self.memory.secrets.get(step["name"], self.now)
        return {"gives": value and value.text}

    def taken(self):
        answers, self.answers = self.answers, []
        return answers


def message_of(step):
    return base64.b64decode(step["message"])


def error_of(answer):
    return None if answer is None else f"error {answer.code}"


def listed(numbers):
    return sorted(map(str, numbers))


def told(use):
    return [use.count, nanoseconds(use.last_used_ago) // 1_000_000]
