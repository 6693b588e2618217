"""Calls a running Keyward from Python: validates a good and an unknown token, keeps secrets, and reads rich error details.

Usage: python_client.py ADDRESS TOKEN_FILE PROTO_DIR
"""

import importlib
import pathlib
import sys
import tempfile

import grpc
import grpc_tools
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from grpc_tools import protoc

PROTOS = "keyward/*/v1/*.proto"


def generate(proto_dir: pathlib.Path, out_dir: str) -> None:
    includes = [f"-I{proto_dir}", f"-I{proto_dir}/vendor", f"-I{pathlib.Path(grpc_tools.__file__).parent / '_proto'}"]
    files = [str(path) for path in proto_dir.glob(PROTOS)]
    if protoc.main(["protoc", *includes, f"--python_out={out_dir}", f"--grpc_python_out={out_dir}", *files]) != 0:
        sys.exit("the protos do not compile for Python")
    sys.path.insert(0, out_dir)


def bad_request_fields(error: grpc.RpcError) -> list[str]:
    for detail in rpc_status.from_call(error).details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            return [violation.field for violation in bad_request.field_violations]
    return []


def open_channel(address: str) -> grpc.Channel:
    # The library would send everything to the proxy of http_proxy, if there is one.
    return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])


def keep_secrets(channel: grpc.Channel, call: dict) -> None:
    """Gives a text and then bytes to a secret, and gets both back as they were given."""
    secrets = importlib.import_module("keyward.secret.v1.secret_pb2")
    messages = importlib.import_module("keyward.secret.v1.secret_service_pb2")
    services = importlib.import_module("keyward.secret.v1.secret_service_pb2_grpc")
    stub = services.SecretServiceStub(channel)
    text, data = secrets.SecretPayload(text="päss wörd\n\0"), secrets.SecretPayload(data=bytes(range(256)))
    made = stub.CreateSecret(messages.CreateSecretRequest(name="from-python", payload=text), **call).secret
    named = secrets.SecretSelector(record_locator=made.record_locator)
    stub.AddSecretVersion(messages.AddSecretVersionRequest(selector=named, payload=data), **call)

    def value(version: int):
        return stub.AccessSecret(messages.AccessSecretRequest(secret=named, version=version), **call).payload

    assert value(1) == text, "a text is not what was given"
    assert value(0) == data, "bytes are not what was given"

    batch = messages.BatchAccessSecretsRequest(
        requests=[messages.AccessSecretRequest(secret=named, version=version) for version in (1, 3)]
    )
    first, missing = stub.BatchAccessSecrets(batch, **call).results
    assert first.access.payload == text, "a batch gives another value"
    assert missing.error.code == grpc.StatusCode.NOT_FOUND.value[0], missing.error
    stub.DeleteSecret(messages.DeleteSecretRequest(selector=named), **call)


def main(address: str, token_file: str, proto_dir: str) -> None:
    token = pathlib.Path(token_file).read_text().strip()
    with tempfile.TemporaryDirectory() as out_dir, open_channel(address) as channel:
        generate(pathlib.Path(proto_dir), out_dir)
        messages = importlib.import_module("keyward.token.v1.token_service_pb2")
        services = importlib.import_module("keyward.token.v1.token_service_pb2_grpc")
        stub = services.TokenServiceStub(channel)
        call = {"metadata": [("authorization", f"Bearer {token}")], "timeout": 10, "wait_for_ready": True}

        def verdict(text: str):
            return stub.ValidateToken(messages.ValidateTokenRequest(token=text), **call)

        known, unknown = verdict(token), verdict("no such token")
        assert known.valid, "the administrator's token is refused"
        assert not unknown.valid, "an unknown token passes"

        keep_secrets(channel, call)

        try:
            stub.CreateToken(messages.CreateTokenRequest(), **call)
            sys.exit("an empty CreateToken is accepted")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.code()
            fields = bad_request_fields(error)
            assert fields, "INVALID_ARGUMENT comes without BadRequest details"
    print(f"A Python client validates tokens, keeps secrets, and reads what is wrong with a request: {', '.join(fields)}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
