"""Values of secrets, kept and followed."""

import asyncio
import uuid

import pytest
from conftest import eventually

import keyward
import keyward.aio
from keyward._secrets import access_request, key_of


@pytest.fixture
def secret(client):
    name = f"secret-{uuid.uuid4()}"
    client.secrets.create_secret(name=name, payload={"text": "first"})
    return name


def renew(client, name, text):
    client.secrets.add_secret_version(selector={"name": name}, payload={"text": text})


def test_a_reader_that_keeps_nothing_fetches(client, secret):
    reader = keyward.SecretReader(client)
    assert reader.get(secret).text == "first"
    renew(client, secret, "second")
    assert (reader.get(secret).text, reader.get({"name": secret}).version) == ("second", 2)
    with pytest.raises(ValueError, match="keep=True"):
        reader.on_change(secret, print)


def test_a_kept_value_is_given_no_more_when_the_change_has_returned(client, secret):
    reader = keyward.SecretReader(client, keep=True, label="tests")
    eventually(lambda: reader.get(secret).text == "first" and is_kept(reader, secret))
    for turn in range(2, 6):
        renew(client, secret, f"turn {turn}")
        eventually(lambda turn=turn: reader.get(secret).text == f"turn {turn}" and is_kept(reader, secret))
        changed = client.secrets.disable_secret_version(selector={"name": secret}, version=turn)
        assert changed.propagation.complete
        assert reader.get(secret).text == "first"
        client.secrets.destroy_secret_version(selector={"name": secret}, version=turn)
    value = reader.get(secret)
    assert value.text not in repr(value)
    reader.close()


def is_kept(reader, name):
    return reader._streams.holding.memory.secrets.holds(key_of(access_request(name)))


def test_whoever_follows_a_secret_is_told_each_value_and_its_end(client, secret):
    reader = keyward.SecretReader(client, keep=True)
    told = []
    end = reader.on_change(secret, lambda value, error: told.append(value.text if value else error.code.name))
    eventually(lambda: told == ["first"])
    renew(client, secret, "second")
    eventually(lambda: told == ["first", "second"])
    client.secrets.disable_secret_version(selector={"name": secret}, version=2)
    eventually(lambda: told == ["first", "second", "first"])
    client.secrets.delete_secret(selector={"name": secret})
    eventually(lambda: told == ["first", "second", "first", "NOT_FOUND"])
    end()
    reader.close()


def test_asyncio_follows_secrets_too(server, client, secret):
    async def follow():
        async with keyward.aio.Client(servers=server.address, token_file=server.token_file) as own:
            reader = keyward.aio.SecretReader(own, keep=True)
            told = []
            reader.on_change(
                secret, lambda value, error: told.append(value.text if value else error.code.name)
            )
            await until(lambda: told == ["first"])
            await own.secrets.add_secret_version(selector={"name": secret}, payload={"text": "second"})
            await until(lambda: told == ["first", "second"])
            await reader.close()

    asyncio.run(follow())


async def until(check):
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0.01)
