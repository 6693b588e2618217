"""What a verdict costs this process: from memory, and by a call, in CPU time, in the same run.

Usage: local_check.py SERVER TOKEN_FILE
"""

import json
import sys
import time
import uuid

import keyward
from keyward.token.v1.token_service_pb2 import ValidateTokenRequest, ValidateTokenResponse

PATH = "/keyward.token.v1.TokenService/ValidateToken"
ROUNDS = 7


def main(server: str, token_file: str) -> None:
    client = keyward.Client(servers=server, token_file=token_file)
    validator = keyward.Validator(client, label="bench")
    made = client.tokens.create_token(name=f"bench-{uuid.uuid4()}", scopes=["orders:*"])
    text = made.plaintext
    while validator.validate_cached(text) is None:
        validator.validate(text)
    request = ValidateTokenRequest(token=text)
    scopes = ["orders:read", "orders:write"]
    ways = {
        "memory": (lambda: validator.validate(text), 50_000),
        "memory, two scopes": (lambda: validator.validate(text, scopes), 50_000),
        "call": (lambda: client.transport.unary(PATH, request, ValidateTokenResponse), 500),
    }
    took = {name: float("inf") for name in ways}
    # Interleaved, and the best of each: others use the machine too.
    for _ in range(ROUNDS):
        for name, (ask, times) in ways.items():
            took[name] = min(took[name], microseconds(ask, times))
    client.tokens.revoke_token(selector={"id": made.token.id})
    validator.close()
    ratio = took["call"] / took["memory"]
    print(json.dumps({"python": sys.version.split()[0], "cpu_us": took, "call/memory": ratio}, indent=2))


def microseconds(ask, times):
    began = time.process_time()
    for _ in range(times):
        ask()
    return round((time.process_time() - began) / times * 1e6, 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
