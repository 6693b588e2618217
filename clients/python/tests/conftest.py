"""A Keyward of the tests' own: the built server, with its embedded database."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import pytest

import keyward

PROJECT = pathlib.Path(__file__).resolve().parents[3]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(check, seconds=10.0):
    """Waits until `check` gives something true, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > deadline:
            assert found, "it did not become true in time"
            return found
        time.sleep(0.01)


class Keyward:
    """A server, which can be stopped and started again on the same port and data."""

    def __init__(self, directory):
        self._data = directory / "data"
        self._log = (directory / "log").open("a")
        self.address = f"127.0.0.1:{free_port()}"
        self.token_file = self._data / "admin-token"
        self._process = None

    def start(self):
        environment = os.environ | {
            "KEYWARD_DATA_DIR": str(self._data),
            "KEYWARD_LISTEN": self.address,
            "KEYWARD_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
        }
        main = PROJECT / "dist" / "cli" / "main.js"
        self._process = subprocess.Popen(
            ["node", str(main), "serve"], env=environment, stdout=self._log, stderr=self._log
        )

    def stop(self):
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    def client(self, **options):
        return keyward.Client(servers=self.address, token_file=self.token_file, **options)


@pytest.fixture(scope="session")
def server():
    with tempfile.TemporaryDirectory(prefix="keyward-python-") as name:
        directory = pathlib.Path(name)
        # The embedded database runs under another user where the tests run as root.
        directory.chmod(0o755)
        started = Keyward(directory)
        started.start()
        try:
            eventually(started.token_file.exists, 60)
            with started.client(timeout=30.0) as client:
                client.tokens.validate_token(token="a guess")
            yield started
        finally:
            started.stop()


@pytest.fixture(scope="session")
def client(server):
    with server.client() as made:
        yield made


@pytest.fixture
def key(client):
    """Makes a key with scopes, and gives it with its text."""

    def make(*scopes, **fields):
        return client.tokens.create_token(name=f"key-{uuid.uuid4()}", scopes=scopes or ["*"], **fields)

    return make


@pytest.fixture
def validator(client):
    made = keyward.Validator(client, label="tests")
    leased(made)
    yield made
    made.close()


def leased(validator):
    """Waits until the validator judges in memory."""

    def is_leased():
        validator.validate("a guess")
        return validator.is_leased

    eventually(is_leased)
    return validator
