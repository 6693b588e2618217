"""Verdicts are those of the service's own rules, which made the vectors."""

import base64
import json
import pathlib

import pytest

from keyward._memory.memory import VerdictMemory
from keyward._memory.moment import Moment
from keyward.token.v1.hold_verdicts_pb2 import HoldFact, HoldFacts, HoldGrant, HoldOpened

VECTORS = pathlib.Path(__file__).parents[3] / "test" / "vectors"
BEGAN = Moment(1_000_000_000, 1_700_000_000_000_000_000)


@pytest.mark.parametrize(
    "vector", json.loads((VECTORS / "verdicts.json").read_text()), ids=lambda each: each["name"]
)
def test_judges_as_the_service_does(vector):
    memory = VerdictMemory()
    stream, _ = memory.open_stream()
    memory.opened(HoldOpened(resumed=True, max_entries=10))
    answers = []
    asked = memory.look_up(stream, b"key", lambda: bytes(64), answers.append, BEGAN)
    fact = HoldFact.FromString(base64.b64decode(vector["fact"]))
    fact.id = asked.id
    memory.facts(stream, HoldFacts(facts=[fact]), after(vector["comes"]))
    assert answers[0](tuple(vector["scopes"])).reason == vector["answers"]

    now = after(vector["again"])
    grant = HoldGrant(number=memory.renewal(stream, now).number)
    grant.lease.seconds = 3
    assert memory.grant(stream, grant)
    entry = memory.entry_of(b"key")
    verdict = None if entry is None else memory.judge(entry, tuple(vector["scopes"]), now)
    assert (verdict and verdict.reason) == vector["holds"]


def after(elapsed):
    return Moment(BEGAN.monotonic + elapsed["monotonic"] * 1000, BEGAN.wall + elapsed["wall"] * 1000)
