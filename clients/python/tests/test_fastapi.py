"""FastAPI's dependency."""

from typing import Annotated

from conftest import free_port
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

import keyward
from keyward.fastapi import KeywardAuth


def application(**options):
    keys = KeywardAuth(timeout=1.0, **options)
    app = FastAPI(lifespan=keys.lifespan)

    @app.get("/orders")
    async def orders(verdict: Annotated[keyward.Verdict, Depends(keys.require("orders:read"))]) -> str:
        return verdict.principal.username

    return app


def test_a_request_is_answered_as_its_key_deserves(server, client, key):
    good = key("orders:read")
    with TestClient(application(servers=server.address, token_file=server.token_file)) as web:

        def get(text):
            response = web.get("/orders", headers={} if text is None else {"authorization": f"Bearer {text}"})
            return response.status_code, response.headers.get("www-authenticate")

        assert get(good.plaintext) == (200, None)
        assert get(None) == (401, 'Bearer realm="api"')
        assert get("a guess") == (401, 'Bearer realm="api", error="invalid_token"')
        assert get(key("other").plaintext) == (
            403,
            'Bearer realm="api", error="insufficient_scope", scope="orders:read"',
        )
        client.tokens.deactivate_token(selector={"id": good.token.id})
        assert get(good.plaintext)[0] == 401


def test_where_nobody_can_tell_the_answer_is_503():
    with TestClient(application(servers=f"127.0.0.1:{free_port()}", token="x")) as web:
        response = web.get("/orders", headers={"authorization": "Bearer x"})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
