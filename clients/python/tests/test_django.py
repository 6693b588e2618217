"""A Django project under gunicorn, pre-forked, and under uvicorn."""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from conftest import Keyward, eventually, free_port

import keyward

HERE = pathlib.Path(__file__).parent
GUNICORN = ["gunicorn", "shop.wsgi", "--workers", "4", "--preload", "--bind"]
SERVERS = {
    "gunicorn": lambda port: [*GUNICORN, f"127.0.0.1:{port}"],
    "gunicorn with threads": lambda port: [
        *GUNICORN,
        f"127.0.0.1:{port}",
        "--worker-class",
        "gthread",
        "--threads",
        "4",
    ],
    "uvicorn": lambda port: [
        "uvicorn",
        "shop.asgi:application",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ],
}


class Shop:
    """The project, served."""

    def __init__(self, command, keyward, directory):
        self._port = free_port()
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "SHOP_DATABASE": str(directory / "shop.sqlite3"),
            "SHOP_KEYWARD": keyward.address,
            "SHOP_TOKEN_FILE": str(keyward.token_file),
        }
        self.manage("migrate", "--verbosity", "0")
        self.manage(
            "shell",
            "--verbosity",
            "0",
            "-c",
            "from django.contrib.auth.models import User; User.objects.create_user('admin')",
        )
        log = (directory / "shop.log").open("w")
        program = [sys.executable, "-m", *command(self._port)]
        self._process = subprocess.Popen(program, env=self.environment, cwd=HERE, stdout=log, stderr=log)
        eventually(lambda: self.get("open")[0] == 200, 30)

    def manage(self, *arguments, **options):
        command = [sys.executable, "-m", "django", *arguments]
        return subprocess.run(
            command, env=self.environment | options, cwd=HERE, check=True, capture_output=True, text=True
        )

    def get(self, path, text=None, scheme="Token"):
        """Gives the status, the headers and the body; 0 while nothing answers."""
        headers = {} if text is None else {"authorization": f"{scheme} {text}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)
        except OSError:
            return 0, {}, None

    def held(self, text, processes):
        """Asks until every worker has answered from memory."""
        seen = set()

        def all_hold():
            status, _, body = self.get("who", text)
            if status == 200 and body["from_memory"] > 0:
                seen.add(body["process"])
            return len(seen) == processes

        eventually(all_hold, 30)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="module", params=SERVERS)
def shop(request, server, tmp_path_factory):
    made = Shop(SERVERS[request.param], server, tmp_path_factory.mktemp("shop"))
    made.processes = 1 if request.param == "uvicorn" else 4
    yield made
    made.stop()


def test_a_request_is_answered_as_its_key_deserves(shop, key):
    good = key("orders:read")
    other = key("users:read")
    status, _, body = shop.get("who", good.plaintext)
    assert (status, body["username"], body["key_id"]) == (200, "admin", good.token.key_id)
    assert shop.get("orders", good.plaintext, "bearer")[0] == 200

    status, headers, _ = shop.get("who")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    for refused in ["a guess", "", "x" * 2000, good.plaintext + "0"]:
        status, headers, _ = shop.get("who", refused)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="api", error="invalid_token"')
    assert shop.get("who", good.plaintext, "Basic")[0] == 401

    status, headers, _ = shop.get("orders", other.plaintext)
    assert status == 403
    assert (
        headers["WWW-Authenticate"] == 'Bearer realm="api", error="insufficient_scope", scope="orders:read"'
    )

    assert shop.get("plain", good.plaintext)[2] == {"username": "admin", "scopes": ["orders:read"]}
    assert [shop.get("plain", text)[0] for text in (None, "a guess", other.plaintext)] == [401, 401, 403]


def test_a_key_that_was_switched_off_is_refused_by_every_worker_when_the_call_returns(shop, client, key):
    made = key()
    for _ in range(3):
        shop.held(made.plaintext, shop.processes)
        assert client.tokens.deactivate_token(selector={"id": made.token.id}).propagation.complete
        assert [shop.get("who", made.plaintext)[0] for _ in range(24)] == [401] * 24
        assert client.tokens.activate_token(selector={"id": made.token.id}).propagation.complete
        assert [shop.get("who", made.plaintext)[0] for _ in range(24)] == [200] * 24


def test_a_key_whose_user_django_has_not_is_refused(shop, key, client):
    key_of_admin = key().plaintext
    shop.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from django.contrib.auth.models import User; User.objects.update(is_active=False)",
    )
    assert shop.get("who", key_of_admin)[0] == 401
    shop.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from django.contrib.auth.models import User; User.objects.update(is_active=True)",
    )
    assert shop.get("who", key_of_admin)[0] == 200


def test_nobody_is_told_that_a_key_is_bad_because_keyward_is_stopped(tmp_path):
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    keyward = Keyward(tmp_path)
    keyward.start()
    shop = None
    try:
        eventually(keyward.token_file.exists, 60)
        with keyward.client(timeout=30.0) as client:
            # What may be repeated waits until the service is there.
            client.tokens.validate_token(token="a guess")
            text = client.tokens.create_token(name="key").plaintext
        shop = Shop(SERVERS["gunicorn"], keyward, tmp_path)
        shop.held(text, 4)
        keyward.stop()
        # Under a lease it may still pass for three seconds; after that nobody can tell.
        eventually(lambda: shop.get("who", text)[0] == 503, 5)
        for asked in (text, "a guess"):
            for _ in range(4):
                began = time.monotonic()
                status, headers, _ = shop.get("who", asked)
                assert (status, headers["Retry-After"]) == (503, "1")
                assert time.monotonic() - began < 1.5
        keyward.start()
        with keyward.client(timeout=30.0) as client:
            client.tokens.validate_token(token="a guess")
        back = time.monotonic()
        eventually(lambda: all(shop.get("who", text)[0] == 200 for _ in range(8)), 5)
        assert time.monotonic() - back < 2
        assert shop.get("who", "a guess")[0] == 401
    finally:
        if shop is not None:
            shop.stop()
        keyward.stop()


def test_the_services_own_token_that_is_refused_is_no_fault_of_the_caller(server, key, tmp_path):
    (tmp_path / "token").write_text("refused")
    text = key().plaintext
    keyward = type("Refused", (), {"address": server.address, "token_file": tmp_path / "token"})
    shop = Shop(SERVERS["gunicorn"], keyward, tmp_path)
    try:
        assert shop.get("who", text)[0] == 503
    finally:
        shop.stop()


def test_the_check_command_asks_keyward(server, shop):
    printed = shop.manage("keyward_check").stdout
    assert server.address in printed
    assert "judges in its own memory" in printed
    with pytest.raises(subprocess.CalledProcessError) as raised:
        shop.manage("keyward_check", SHOP_KEYWARD=f"127.0.0.1:{free_port()}")
    assert "Keyward gives no verdict: UNAVAILABLE" in raised.value.stderr


def test_checks_name_the_settings_that_are_wrong(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
    monkeypatch.syspath_prepend(HERE)
    from django.test import override_settings

    from keyward.django.checks import check_settings

    def found(**given):
        with override_settings(KEYWARD=given):
            return [(each.id, each.msg, each.hint) for each in check_settings()]

    assert found(SERVERS="keyward:50051", TOKEN="x") == []
    assert found(SERVER="keyward:50051", TOKEN="x") == [
        ("keyward.E003", "KEYWARD has no 'SERVER'.", "Did you mean 'SERVERS'?")
    ]
    wrong = {
        "TIMEOUT": "1",
        "SERVERS": "keyward",
        "LABEL": "a b",
        "TOKEN_FILE": "/no/such/file",
        "USER": "other",
        "MAX_ENTRIES": 0,
        "USER_SECONDS": -1,
    }
    assert [
        message.partition(":")[0][:7] for code, message, _ in found(**wrong) if code == "keyward.E004"
    ] == ["KEYWARD"] * 7
    assert found(CERT="c")[-1][0] == "keyward.E005"
    assert found()[-1][0] == "keyward.W001"


@pytest.fixture
def users(monkeypatch):
    """Django's users in a database of this process."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
    monkeypatch.syspath_prepend(HERE)
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    yield User.objects
    User.objects.all().delete()


def test_what_was_read_of_a_user_counts_as_long_as_the_setting_says(users, monkeypatch):
    from django.db import connection
    from django.test import override_settings
    from django.test.utils import CaptureQueriesContext

    from keyward.django import users as module

    def user():
        return module.user_of(keyward.Verdict(True, "OK", principal=principal))

    def queries():
        with CaptureQueriesContext(connection) as captured:
            user()
        return len(captured)

    principal = keyward.Principal(1, "ann", 1, 1, "1", False, False)
    now = [0.0]
    monkeypatch.setattr(module, "_clock", lambda: now[0])
    made = users.create_user("ann", first_name="Ann")
    assert [queries(), queries()] == [1, 1]
    with override_settings(KEYWARD={"USER_SECONDS": 5}):
        assert [queries(), queries()] == [1, 0]
        changed = user()
        changed.first_name = "changed by a view"
        assert user() == changed
        assert user().first_name == "Ann"

        # As another process does.
        users.update(is_active=False)
        now[0] = 4.9
        assert user() == made
        now[0] = 5.0
        assert user() is None
        users.update(is_active=True)
        assert user() == made
        # In this process it counts at once.
        made.is_active = False
        made.save()
        assert user() is None
        users.all().delete()
        assert user() is None

        for number in range(module._MAX_READ + 10):
            module.read_users.keep(f"user-{number}", now[0], made)
        assert len(module.read_users._read) == module._MAX_READ
