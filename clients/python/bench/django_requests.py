"""What a request of a Django project costs with Keyward, with knox, and without authentication, in CPU time, in the same run.

The whole of Django and REST framework, without a web server: requests a second on one core are the inverse.

Usage: django_requests.py SERVER TOKEN_FILE
"""

import json
import os
import pathlib
import sys
import time
import uuid

ROUNDS = 7
REQUESTS = 100
TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"


def main(server: str, token_file: str) -> None:
    sys.path.insert(0, str(TESTS))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SHOP_KEYWARD": server,
        "SHOP_TOKEN_FILE": str(pathlib.Path(token_file).resolve()),
    }
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from knox.models import AuthToken

    from keyward.django.conf import client, validator

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("admin")
    for _ in range(20):
        # What a user has at the platform: knox reads all that begin alike.
        _, knox_token = AuthToken.objects.create(user)
    made = client().tokens.create_token(name=f"bench-{uuid.uuid4()}")
    while validator().validate_cached(made.plaintext) is None:
        validator().validate(made.plaintext)

    web = Client()
    ways = {"open": ("/open", {}), "keyward": ("/who", made.plaintext), "knox": ("/knox", knox_token)}
    took = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, (path, token) in ways.items():
            headers = {"authorization": f"Token {token}"} if token else {}
            began = time.process_time()
            for _ in range(REQUESTS):
                assert web.get(path, headers=headers).status_code == 200
            took[name] = min(took[name], (time.process_time() - began) / REQUESTS * 1e6)
    began = time.process_time()
    for _ in range(10_000):
        validator().validate(made.plaintext)
    verdict = (time.process_time() - began) / 10_000 * 1e6
    client().tokens.revoke_token(selector={"id": made.token.id})
    validator().close()
    print(
        json.dumps(
            {
                "cpu_us_a_request": {name: round(value) for name, value in took.items()},
                "requests_a_second_a_core": {name: round(1e6 / value) for name, value in took.items()},
                "cpu_us_of_the_verdict": round(verdict, 1),
                "verdict_of_a_request": f"{verdict / took['keyward']:.1%}",
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
