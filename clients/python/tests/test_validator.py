"""Verdicts in this process, and that no complete change is contradicted."""

import asyncio
import os
import threading
import time

import pytest
from conftest import eventually, leased

import keyward
import keyward.aio


def test_memory_answers_and_obeys_a_change_that_has_returned(client, key, validator):
    made = key("orders:read")
    assert validator.validate(made.plaintext, ["orders:read"]).reason == "OK"
    before = validator.counts.memory
    verdict = validator.validate(made.plaintext, ["orders:read"])
    assert verdict.principal.username == "admin"
    assert validator.counts.memory == before + 1
    assert validator.validate(made.plaintext, ["orders:write"]).reason == "INSUFFICIENT_SCOPE"

    for _ in range(5):
        assert client.tokens.deactivate_token(selector={"id": made.token.id}).propagation.complete
        assert validator.validate(made.plaintext).reason == "INACTIVE"
        assert client.tokens.activate_token(selector={"id": made.token.id}).propagation.complete
        assert validator.validate(made.plaintext).reason == "OK"


def test_many_threads_are_never_told_what_a_complete_change_has_ended(client, key, validator):
    made = key()
    ended = threading.Event()
    wrong = []

    def ask():
        while not ended.is_set():
            # What is true before the question and after it is what the answer must be.
            before = state[0]
            reason = validator.validate(made.plaintext).reason
            if before == state[0] and before[1] is not None and reason != before[1]:
                wrong.append((before, reason))

    state = [(0, "OK")]
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(30):
            switch, reason = [
                (client.tokens.activate_token, "OK"),
                (client.tokens.deactivate_token, "INACTIVE"),
            ][(turn + 1) % 2]
            state[0] = (turn, None)
            assert switch(selector={"id": made.token.id}).propagation.complete
            state[0] = (turn, reason)
            time.sleep(0.02)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert validator.counts.memory > 100


def test_a_text_that_can_be_no_token_is_unknown_without_a_call(validator):
    counts = validator.counts.call + validator.counts.look_up
    for text in ["x" * 1025, "\ud800", "ä" * 513]:
        assert validator.validate(text).reason == "UNKNOWN"
    assert validator.counts.call + validator.counts.look_up == counts


def test_scopes_that_are_none_are_refused_as_the_service_refuses_them(key, validator):
    text = key().plaintext
    for _ in range(2):
        with pytest.raises(keyward.KeywardError) as raised:
            validator.validate(text, ["orders:read", "NO"])
        assert [each.field for each in raised.value.violations] == ["scopes[1]"]
    with pytest.raises(TypeError):
        validator.validate(text, "orders:read")


def test_without_the_right_to_keep_every_verdict_is_a_call(server, key):
    own = key("keyward.tokens.validate").plaintext
    with keyward.Client(servers=server.address, token=own) as client:
        validator = keyward.Validator(client)
        for _ in range(3):
            assert validator.validate(own).valid
        assert (validator.counts.call, validator.is_leased) == (3, False)
        validator.close()


def test_uses_are_reported(client, key, validator):
    made = key()
    for _ in range(3):
        assert validator.validate(made.plaintext).valid
    eventually(
        lambda: keyward.time_of(client.tokens.get_token(token={"id": made.token.id}).token, "last_used_at"),
        15,
    )


def test_a_child_after_a_fork_has_a_memory_of_its_own(client, key, validator):
    made = key()
    assert validator.validate(made.plaintext).valid
    for _ in range(3):
        reads, writes = os.pipe()
        obeys, orders = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reads)
            os.close(orders)
            try:
                assert not validator.is_leased
                assert validator.size == 0
                leased(validator)
                assert validator.validate(made.plaintext).valid
                assert validator.validate_cached(made.plaintext).valid
                os.write(writes, b"1")
                os.read(obeys, 1)
                os.write(writes, validator.validate(made.plaintext).reason.encode())
            finally:
                os._exit(0)
        os.close(writes)
        os.close(obeys)
        assert os.read(reads, 1) == b"1"
        # The child holds the key as well: the change waits until it has forgotten it.
        assert client.tokens.deactivate_token(selector={"id": made.token.id}).propagation.complete
        os.write(orders, b"1")
        assert os.read(reads, 20) == b"INACTIVE"
        os.waitpid(child, 0)
        assert validator.validate(made.plaintext).reason == "INACTIVE"
        assert client.tokens.activate_token(selector={"id": made.token.id}).propagation.complete
        assert validator.is_leased
        for end in (reads, orders):
            os.close(end)


def test_asyncio_judges_in_memory_too(server, key):
    made = key("orders:read")

    async def judge():
        async with keyward.aio.Client(servers=server.address, token_file=server.token_file) as client:
            validator = keyward.aio.Validator(client, label="asyncio")
            while not validator.is_leased:
                await validator.validate("a guess")
                await asyncio.sleep(0.01)
            verdicts = await asyncio.gather(*(validator.validate(made.plaintext) for _ in range(600)))
            assert all(verdict.valid for verdict in verdicts)
            assert validator.validate_cached(made.plaintext, ["orders:read"]).valid
            for _ in range(5):
                await client.tokens.deactivate_token(selector={"id": made.token.id})
                assert (await validator.validate(made.plaintext)).reason == "INACTIVE"
                await client.tokens.activate_token(selector={"id": made.token.id})
                assert (await validator.validate(made.plaintext)).valid
            assert validator.is_leased
            await validator.close()
            assert validator.validate_cached(made.plaintext) is None

    asyncio.run(judge())
