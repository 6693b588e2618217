"""Verdicts in this process, and that no complete change is contradicted."""

import asyncio
import os
import queue
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


def test_a_bound_text_is_judged_as_others_are(client, key, validator):
    made = key("orders:read")
    bound = validator.bind(made.plaintext)
    assert bound.validate(["orders:read"]).reason == "OK"
    before = validator.counts.memory
    assert bound.validate_cached(["orders:write"]).reason == "INSUFFICIENT_SCOPE"
    assert validator.counts.memory == before + 1
    for _ in range(5):
        assert client.tokens.deactivate_token(selector={"id": made.token.id}).propagation.complete
        assert bound.validate().reason == "INACTIVE"
        assert client.tokens.activate_token(selector={"id": made.token.id}).propagation.complete
        assert bound.validate().reason == "OK"
    impossible = validator.bind("x" * 1025)
    assert [impossible.validate().reason, impossible.validate_cached().reason] == ["UNKNOWN"] * 2
    for judge in (bound.validate, bound.validate_cached):
        with pytest.raises(keyward.KeywardError):
            judge(["NO"])
    assert made.plaintext not in repr(bound)


def test_a_connection_is_told_once_that_its_key_passes_no_more(client, key):
    told = queue.Queue()
    validator = leased(
        keyward.Validator(client, on_revoked=lambda bound, verdict: told.put((bound, verdict.reason)))
    )
    try:
        made, other = key(), key()
        bound, again, released, unconcerned = (
            validator.bind(text) for text in [made.plaintext] * 3 + [other.plaintext]
        )
        released.release()
        for each in (bound, unconcerned):
            assert each.validate().valid
        client.tokens.update_token(
            selector={"id": made.token.id},
            token={"description": "changed"},
            update_mask={"paths": ["description"]},
        )
        assert bound.validate().valid
        client.tokens.deactivate_token(selector={"id": made.token.id})
        revoked = dict(told.get(timeout=5) for _ in range(2))
        assert revoked == {bound: "INACTIVE", again: "INACTIVE"}

        client.tokens.activate_token(selector={"id": made.token.id})
        assert bound.validate().valid
        client.tokens.deactivate_token(selector={"id": made.token.id})
        client.tokens.deactivate_token(selector={"id": other.token.id})
        # What is told next is of the other one: of these it was told before.
        assert told.get(timeout=5) == (unconcerned, "INACTIVE")
    finally:
        validator.close()


def test_a_child_after_a_fork_is_told_of_its_own_keys(client, key):
    told = queue.Queue()
    validator = leased(keyward.Validator(client, on_revoked=lambda bound, _: told.put(bound)))
    made = key()
    bound = validator.bind(made.plaintext)
    assert bound.validate().valid
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            assert bound.validate_cached() is None
            leased(validator)
            assert bound.validate().valid
            assert bound.validate_cached().valid
            os.write(writes, b"held")
            assert told.get(timeout=5) is bound
            os.write(writes, b"told")
        finally:
            os._exit(0)
    os.close(writes)
    assert os.read(reads, 4) == b"held"
    client.tokens.deactivate_token(selector={"id": made.token.id})
    assert os.read(reads, 4) == b"told"
    assert told.get(timeout=5) is bound
    os.waitpid(child, 0)
    os.close(reads)
    validator.close()


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


def test_asyncio_is_told_once_that_a_key_passes_no_more(server, key):
    made = key("orders:read")

    async def judge():
        told = asyncio.Queue()
        async with keyward.aio.Client(servers=server.address, token_file=server.token_file) as client:
            validator = keyward.aio.Validator(
                client, label="asyncio", on_revoked=lambda *each: told.put_nowait(each)
            )
            while not validator.is_leased:
                await validator.validate("a guess")
                await asyncio.sleep(0.01)
            bound, released = validator.bind(made.plaintext), validator.bind(made.plaintext)
            released.release()
            assert (await bound.validate(["orders:read"])).valid
            assert bound.validate_cached(["orders:write"]).reason == "INSUFFICIENT_SCOPE"
            await client.tokens.revoke_token(selector={"id": made.token.id})
            assert (await bound.validate()).reason == "UNKNOWN"
            revoked, verdict = await asyncio.wait_for(told.get(), 5)
            assert (revoked, verdict.reason) == (bound, "UNKNOWN")
            assert told.empty()
            await validator.close()

    asyncio.run(judge())
