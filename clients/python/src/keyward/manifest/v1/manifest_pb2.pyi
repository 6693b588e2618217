from keyward.secret.v1 import secret_pb2 as _secret_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ManifestFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MANIFEST_FORMAT_UNSPECIFIED: _ClassVar[ManifestFormat]
    MANIFEST_FORMAT_YAML: _ClassVar[ManifestFormat]
    MANIFEST_FORMAT_JSON: _ClassVar[ManifestFormat]

class ManifestOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MANIFEST_OUTCOME_UNSPECIFIED: _ClassVar[ManifestOutcome]
    MANIFEST_OUTCOME_CREATED: _ClassVar[ManifestOutcome]
    MANIFEST_OUTCOME_UPDATED: _ClassVar[ManifestOutcome]
    MANIFEST_OUTCOME_UNCHANGED: _ClassVar[ManifestOutcome]
MANIFEST_FORMAT_UNSPECIFIED: ManifestFormat
MANIFEST_FORMAT_YAML: ManifestFormat
MANIFEST_FORMAT_JSON: ManifestFormat
MANIFEST_OUTCOME_UNSPECIFIED: ManifestOutcome
MANIFEST_OUTCOME_CREATED: ManifestOutcome
MANIFEST_OUTCOME_UPDATED: ManifestOutcome
MANIFEST_OUTCOME_UNCHANGED: ManifestOutcome

class SecretValue(_message.Message):
    __slots__ = ("document", "payload")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    document: int
    payload: _secret_pb2.SecretPayload
    def __init__(self, document: _Optional[int] = ..., payload: _Optional[_Union[_secret_pb2.SecretPayload, _Mapping]] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("field", "before", "after")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    field: str
    before: str
    after: str
    def __init__(self, field: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class AppliedDocument(_message.Message):
    __slots__ = ("kind", "name", "outcome", "changes", "id", "record_locator", "etag", "plaintext", "deactivated_count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    DEACTIVATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    outcome: ManifestOutcome
    changes: _containers.RepeatedCompositeFieldContainer[FieldChange]
    id: int
    record_locator: str
    etag: str
    plaintext: str
    deactivated_count: int
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., outcome: _Optional[_Union[ManifestOutcome, str]] = ..., changes: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ..., id: _Optional[int] = ..., record_locator: _Optional[str] = ..., etag: _Optional[str] = ..., plaintext: _Optional[str] = ..., deactivated_count: _Optional[int] = ...) -> None: ...
