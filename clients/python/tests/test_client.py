"""Calls, from threads and from asyncio."""

import asyncio
import datetime
import threading

import grpc
import pytest
from conftest import eventually, free_port

import keyward
import keyward.aio
from keyward.token.v1.token_service_pb2 import StreamValidateTokensRequest


def test_a_request_is_given_as_keywords_and_its_answer_has_aware_times(client, key):
    expires_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    made = key("orders:read", expires_at=expires_at, annotations={"team": "shop"})
    found = client.tokens.get_token(token={"name": made.token.name}).token
    assert keyward.time_of(found, "expires_at") == expires_at
    assert keyward.time_of(found, "last_used_at") is None
    assert dict(found.annotations) == {"team": "shop"}


def test_a_time_without_a_zone_is_refused_before_it_is_sent(key):
    with pytest.raises(ValueError, match="expires_at must be a datetime with a time zone"):
        key(expires_at=datetime.datetime(2100, 1, 1))  # noqa: DTZ001


def test_a_field_that_there_is_not_is_named(client):
    with pytest.raises(TypeError, match="nam is no field of CreateTokenRequest"):
        client.tokens.create_token(nam="x")
    with pytest.raises(TypeError, match=r"token\.nam"):
        client.tokens.get_token(token={"nam": "x"})


def test_an_error_has_its_reason_and_all_violations(client):
    with pytest.raises(keyward.KeywardError) as raised:
        client.tokens.create_token(name="", scopes=["A"])
    assert raised.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.reason == "INVALID_FIELDS"
    assert [each.field for each in raised.value.violations] == ["name", "scopes[0]"]


def test_absence_is_not_found(client):
    with pytest.raises(keyward.KeywardError) as raised:
        client.tokens.get_token(token={"name": "no such token"})
    assert raised.value.code is grpc.StatusCode.NOT_FOUND


def test_streams_go_both_ways(client, key):
    texts = [key().plaintext, "a guess"]
    answers = client.tokens.stream_validate_tokens(StreamValidateTokensRequest(token=text) for text in texts)
    assert [each.valid for each in answers] == [True, False]


def test_a_watch_ends_when_its_iteration_is_closed(client, key):
    watch = client.with_options(timeout=20).tokens.watch_tokens()
    first = threading.Timer(0.2, key)
    first.start()
    assert next(watch)
    watch.close()
    first.join()


def test_a_call_fails_when_its_time_is_over_and_not_before():
    client = keyward.Client(servers=f"127.0.0.1:{free_port()}", token="x", timeout=0.5)
    with pytest.raises(keyward.KeywardError) as raised:
        client.tokens.validate_token(token="x")
    assert raised.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_calls_go_on_while_one_of_several_servers_is_lost(server):
    servers = [f"127.0.0.1:{free_port()}", server.address]
    with keyward.Client(servers=servers, token_file=server.token_file, timeout=3.0) as client:
        for _ in range(4):
            assert not client.tokens.validate_token(token="a guess").valid
        # What must not be done twice is not sent to one that is known to be lost.
        lost = client.transport.servers().all[0]
        eventually(lambda: lost.state is grpc.ChannelConnectivity.TRANSIENT_FAILURE)
        for turn in range(4):
            client.tokens.create_token(name=f"several-{turn}")


def test_a_token_file_is_read_again_when_the_token_is_refused(server, tmp_path):
    file = tmp_path / "token"
    file.write_text("refused")
    with keyward.Client(servers=server.address, token_file=file) as client:
        file.write_text(server.token_file.read_text())
        assert not client.tokens.validate_token(token="a guess").valid


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"servers": "keyward"}, "has no port"),
        ({"servers": []}, "names none"),
        ({"servers": "a:1", "plaintext": True, "tls": True}, "plaintext does not go with"),
        ({"servers": "a:1", "cert": "c"}, "cert and key must be given together"),
        ({"token": "a", "get_token": lambda: "b"}, "one of token"),
        ({"token": "a\nb"}, "no header can carry"),
        ({"proxy": True}, "this machine"),
        ({"timeout": 0}, "above 0"),
    ],
)
def test_options_that_are_wrong_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        keyward.Client(**options)


def test_asyncio_has_the_same_calls(server):
    async def calls():
        async with keyward.aio.Client(servers=server.address, token_file=server.token_file) as client:
            made = await client.tokens.create_token(name="from-asyncio", scopes=["orders:read"])
            found = await client.tokens.get_token(token={"name": "from-asyncio"})
            assert found.token.id == made.token.id

            async def requests():
                yield StreamValidateTokensRequest(token=made.plaintext)

            assert [each.valid async for each in client.tokens.stream_validate_tokens(requests())] == [True]
            with pytest.raises(keyward.KeywardError) as raised:
                await client.tokens.create_token(name="")
            assert raised.value.reason == "INVALID_FIELDS"

    asyncio.run(calls())
