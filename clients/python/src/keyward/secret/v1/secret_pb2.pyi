import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from keyward.account.v1 import account_pb2 as _account_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SecretVersionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SECRET_VERSION_STATE_UNSPECIFIED: _ClassVar[SecretVersionState]
    SECRET_VERSION_STATE_ENABLED: _ClassVar[SecretVersionState]
    SECRET_VERSION_STATE_DISABLED: _ClassVar[SecretVersionState]
    SECRET_VERSION_STATE_DESTROYED: _ClassVar[SecretVersionState]

class SecretFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SECRET_FORMAT_UNSPECIFIED: _ClassVar[SecretFormat]
    SECRET_FORMAT_TEXT: _ClassVar[SecretFormat]
    SECRET_FORMAT_BINARY: _ClassVar[SecretFormat]
SECRET_VERSION_STATE_UNSPECIFIED: SecretVersionState
SECRET_VERSION_STATE_ENABLED: SecretVersionState
SECRET_VERSION_STATE_DISABLED: SecretVersionState
SECRET_VERSION_STATE_DESTROYED: SecretVersionState
SECRET_FORMAT_UNSPECIFIED: SecretFormat
SECRET_FORMAT_TEXT: SecretFormat
SECRET_FORMAT_BINARY: SecretFormat

class Secret(_message.Message):
    __slots__ = ("id", "hashed_id", "record_locator", "name", "description", "version", "tags", "annotations", "manifest_path", "rfc1034_name", "owner", "expires_at", "last_accessed_at", "latest_version", "created_at", "updated_at", "deleted_at", "purge_at", "etag", "snake_name", "ready", "is_expired")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    HASHED_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_PATH_FIELD_NUMBER: _ClassVar[int]
    RFC1034_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_ACCESSED_AT_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    DELETED_AT_FIELD_NUMBER: _ClassVar[int]
    PURGE_AT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    SNAKE_NAME_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    IS_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    id: int
    hashed_id: str
    record_locator: str
    name: str
    description: str
    version: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    annotations: _containers.ScalarMap[str, str]
    manifest_path: str
    rfc1034_name: str
    owner: SecretOwner
    expires_at: _timestamp_pb2.Timestamp
    last_accessed_at: _timestamp_pb2.Timestamp
    latest_version: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    deleted_at: _timestamp_pb2.Timestamp
    purge_at: _timestamp_pb2.Timestamp
    etag: str
    snake_name: str
    ready: bool
    is_expired: bool
    def __init__(self, id: _Optional[int] = ..., hashed_id: _Optional[str] = ..., record_locator: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., manifest_path: _Optional[str] = ..., rfc1034_name: _Optional[str] = ..., owner: _Optional[_Union[SecretOwner, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_accessed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latest_version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deleted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., snake_name: _Optional[str] = ..., ready: bool = ..., is_expired: bool = ...) -> None: ...

class SecretOwner(_message.Message):
    __slots__ = ("user_profile_id", "user_id", "username", "account_id", "account_number")
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    user_profile_id: int
    user_id: int
    username: str
    account_id: int
    account_number: str
    def __init__(self, user_profile_id: _Optional[int] = ..., user_id: _Optional[int] = ..., username: _Optional[str] = ..., account_id: _Optional[int] = ..., account_number: _Optional[str] = ...) -> None: ...

class SecretSelector(_message.Message):
    __slots__ = ("id", "hashed_id", "record_locator", "owned_name")
    ID_FIELD_NUMBER: _ClassVar[int]
    HASHED_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    OWNED_NAME_FIELD_NUMBER: _ClassVar[int]
    id: int
    hashed_id: str
    record_locator: str
    owned_name: OwnedSecretName
    def __init__(self, id: _Optional[int] = ..., hashed_id: _Optional[str] = ..., record_locator: _Optional[str] = ..., owned_name: _Optional[_Union[OwnedSecretName, _Mapping]] = ...) -> None: ...

class OwnedSecretName(_message.Message):
    __slots__ = ("user_profile", "account_number", "name")
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    user_profile: _account_pb2.UserProfileSelector
    account_number: str
    name: str
    def __init__(self, user_profile: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., account_number: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class SecretPayload(_message.Message):
    __slots__ = ("text", "data")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    text: str
    data: bytes
    def __init__(self, text: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class SecretVersion(_message.Message):
    __slots__ = ("number", "state", "format", "key_id", "created_at", "created_by", "destroyed_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    DESTROYED_AT_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: SecretVersionState
    format: SecretFormat
    key_id: str
    created_at: _timestamp_pb2.Timestamp
    created_by: str
    destroyed_at: _timestamp_pb2.Timestamp
    def __init__(self, number: _Optional[int] = ..., state: _Optional[_Union[SecretVersionState, str]] = ..., format: _Optional[_Union[SecretFormat, str]] = ..., key_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ..., destroyed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SecretReference(_message.Message):
    __slots__ = ("kind", "consumer", "created_at")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    consumer: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., consumer: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SecretGrant(_message.Message):
    __slots__ = ("user_profile_id", "username", "account_number", "expires_at", "granted_by", "created_at")
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    GRANTED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    user_profile_id: int
    username: str
    account_number: str
    expires_at: _timestamp_pb2.Timestamp
    granted_by: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, user_profile_id: _Optional[int] = ..., username: _Optional[str] = ..., account_number: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., granted_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class KeyUsage(_message.Message):
    __slots__ = ("key_id", "version_count", "is_configured", "is_primary")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    IS_CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    IS_PRIMARY_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    version_count: int
    is_configured: bool
    is_primary: bool
    def __init__(self, key_id: _Optional[str] = ..., version_count: _Optional[int] = ..., is_configured: bool = ..., is_primary: bool = ...) -> None: ...

class UndecryptableVersion(_message.Message):
    __slots__ = ("secret_id", "version", "key_id", "cause")
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    secret_id: int
    version: int
    key_id: str
    cause: str
    def __init__(self, secret_id: _Optional[int] = ..., version: _Optional[int] = ..., key_id: _Optional[str] = ..., cause: _Optional[str] = ...) -> None: ...
