"""Writes the generated code of the package: messages of the protos, and a class of methods for every service.

Needs grpcio-tools in the version that pyproject.toml names. Run it from any directory.
"""

import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "src" / "keyward"
PROTOS = PACKAGE.parents[3] / "proto"
LIBRARY = pathlib.Path(grpc_tools.__file__).parent / "_proto"

# Messages under these names would collide with those of googleapis-common-protos in the same process: here they have names of
# their own. In bytes they are the same.
OWN_NAMES = (("google/rpc/", "keyward/rpc/"), ("google.rpc", "keyward.rpc"))

# The services that callers use, with what a client calls them.
SERVICES = {
    "TokenService": "Tokens",
    "SecretService": "Secrets",
    "AccountService": "Accounts",
    "AuditService": "Audit",
    "StatusService": "Status",
    "ManifestService": "Manifests",
    "ImportService": "Imports",
}
# It is the validator's and the secret reader's.
INTERNAL = {"HoldVerdicts"}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "protos")
        out = pathlib.Path(directory, "out")
        out.mkdir()
        files = sorted(copied(source))
        described = pathlib.Path(directory, "descriptors")
        arguments = [f"--python_out={out}", f"--pyi_out={out}", f"--descriptor_set_out={described}"]
        if protoc.main(["protoc", f"-I{source}", f"-I{LIBRARY}", *arguments, *files]) != 0:
            sys.exit("the protos do not compile")
        replace(out / "keyward")
        write_services(descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()))


def copied(target: pathlib.Path) -> Iterator[str]:
    """Copies the protos with names of their own for google.rpc, and gives their paths."""
    vendored = [
        ("vendor/google/rpc/" + name, "google/rpc/" + name)
        for name in ("status.proto", "error_details.proto")
    ]
    own = [(str(path.relative_to(PROTOS)),) * 2 for path in PROTOS.glob("keyward/**/*.proto")]
    for path, name in [*vendored, *own]:
        text = (PROTOS / path).read_text()
        for before, after in OWN_NAMES:
            name = name.replace(before, after)
            text = text.replace(before, after)
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        yield name


def replace(made: pathlib.Path) -> None:
    """Puts what was made in the place of what was there."""
    for folder in made.iterdir():
        shutil.rmtree(PACKAGE / folder.name, ignore_errors=True)
        shutil.copytree(folder, PACKAGE / folder.name)
        for directory in [PACKAGE / folder.name, *(PACKAGE / folder.name).glob("v1")]:
            (directory / "__init__.py").write_text("")


def write_services(files: descriptor_pb2.FileDescriptorSet) -> None:
    for file, kind, module in [("_services.py", "", "._methods"), ("aio/_services.py", "Async", "._methods")]:
        imports = []
        classes = []
        for proto in files.file:
            for service in proto.service:
                if service.name not in SERVICES:
                    continue
                folder, name = proto.name.removesuffix(".proto").rsplit("/", 1)
                imports.append(f"from {folder.replace('/', '.')} import {name}_pb2 as {name}")
                classes.append(class_of(proto.package, service, name, kind))
        used = sorted(
            {method_type for made in classes for method_type in re.findall(r"= (\w+)\(", made)}
            | {f"{kind}Service"}
        )
        (PACKAGE / file).write_text(
            "# Written by scripts/generate.py. DO NOT EDIT.\n"
            '"""The methods of every service. docs/api.md describes them."""\n\n'
            + "\n".join(sorted(imports))
            + f"\n\nfrom {module} import {', '.join(used)}\n\n\n"
            + "\n\n".join(classes)
        )


def class_of(package: str, service: descriptor_pb2.ServiceDescriptorProto, module: str, kind: str) -> str:
    lines = [f"class {SERVICES[service.name]}({kind}Service):", f'    """{package}.{service.name}"""', ""]
    for method in service.method:
        if method.name in INTERNAL:
            continue
        form = {(False, False): "Unary", (False, True): "ServerStream", (True, True): "BidiStream"}[
            method.client_streaming, method.server_streaming
        ]
        request = f"{module}.{method.input_type.rsplit('.', 1)[1]}"
        response = f"{module}.{method.output_type.rsplit('.', 1)[1]}"
        path = f"/{package}.{service.name}/{method.name}"
        lines.append(f'    {snake(method.name)} = {kind}{form}("{path}", {request}, {response})')
    return "\n".join([*lines, ""])


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    main()
