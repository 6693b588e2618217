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

class VerdictReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_REASON_UNSPECIFIED: _ClassVar[VerdictReason]
    VERDICT_REASON_OK: _ClassVar[VerdictReason]
    VERDICT_REASON_UNKNOWN: _ClassVar[VerdictReason]
    VERDICT_REASON_EXPIRED: _ClassVar[VerdictReason]
    VERDICT_REASON_OWNER_INACTIVE: _ClassVar[VerdictReason]
    VERDICT_REASON_INACTIVE: _ClassVar[VerdictReason]
    VERDICT_REASON_ACCOUNT_INACTIVE: _ClassVar[VerdictReason]
    VERDICT_REASON_INSUFFICIENT_SCOPE: _ClassVar[VerdictReason]
VERDICT_REASON_UNSPECIFIED: VerdictReason
VERDICT_REASON_OK: VerdictReason
VERDICT_REASON_UNKNOWN: VerdictReason
VERDICT_REASON_EXPIRED: VerdictReason
VERDICT_REASON_OWNER_INACTIVE: VerdictReason
VERDICT_REASON_INACTIVE: VerdictReason
VERDICT_REASON_ACCOUNT_INACTIVE: VerdictReason
VERDICT_REASON_INSUFFICIENT_SCOPE: VerdictReason

class Token(_message.Message):
    __slots__ = ("id", "hashed_id", "record_locator", "key_id", "name", "description", "version", "tags", "annotations", "manifest_path", "rfc1034_name", "owner", "is_active", "expires_at", "scopes", "last_used_at", "identifier", "token_key", "prefix", "grace_ends_at", "created_at", "updated_at", "etag", "issued_by", "snake_name", "ready", "is_expired")
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
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_PATH_FIELD_NUMBER: _ClassVar[int]
    RFC1034_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KEY_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    GRACE_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ISSUED_BY_FIELD_NUMBER: _ClassVar[int]
    SNAKE_NAME_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    IS_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    id: int
    hashed_id: str
    record_locator: str
    key_id: str
    name: str
    description: str
    version: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    annotations: _containers.ScalarMap[str, str]
    manifest_path: str
    rfc1034_name: str
    owner: TokenOwner
    is_active: bool
    expires_at: _timestamp_pb2.Timestamp
    scopes: _containers.RepeatedScalarFieldContainer[str]
    last_used_at: _timestamp_pb2.Timestamp
    identifier: str
    token_key: str
    prefix: str
    grace_ends_at: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    etag: str
    issued_by: TokenIssuer
    snake_name: str
    ready: bool
    is_expired: bool
    def __init__(self, id: _Optional[int] = ..., hashed_id: _Optional[str] = ..., record_locator: _Optional[str] = ..., key_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., manifest_path: _Optional[str] = ..., rfc1034_name: _Optional[str] = ..., owner: _Optional[_Union[TokenOwner, _Mapping]] = ..., is_active: bool = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., scopes: _Optional[_Iterable[str]] = ..., last_used_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., identifier: _Optional[str] = ..., token_key: _Optional[str] = ..., prefix: _Optional[str] = ..., grace_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., issued_by: _Optional[_Union[TokenIssuer, _Mapping]] = ..., snake_name: _Optional[str] = ..., ready: bool = ..., is_expired: bool = ...) -> None: ...

class TokenIssuer(_message.Message):
    __slots__ = ("key_id", "username", "user_id")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    username: str
    user_id: int
    def __init__(self, key_id: _Optional[str] = ..., username: _Optional[str] = ..., user_id: _Optional[int] = ...) -> None: ...

class TokenOwner(_message.Message):
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

class TokenReference(_message.Message):
    __slots__ = ("kind", "consumer", "created_at")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    consumer: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., consumer: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TokenConsumers(_message.Message):
    __slots__ = ("references", "count")
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedCompositeFieldContainer[TokenReference]
    count: int
    def __init__(self, references: _Optional[_Iterable[_Union[TokenReference, _Mapping]]] = ..., count: _Optional[int] = ...) -> None: ...

class TokenSelector(_message.Message):
    __slots__ = ("id", "hashed_id", "record_locator", "key_id", "owned_name")
    ID_FIELD_NUMBER: _ClassVar[int]
    HASHED_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    OWNED_NAME_FIELD_NUMBER: _ClassVar[int]
    id: int
    hashed_id: str
    record_locator: str
    key_id: str
    owned_name: OwnedName
    def __init__(self, id: _Optional[int] = ..., hashed_id: _Optional[str] = ..., record_locator: _Optional[str] = ..., key_id: _Optional[str] = ..., owned_name: _Optional[_Union[OwnedName, _Mapping]] = ...) -> None: ...

class OwnedName(_message.Message):
    __slots__ = ("user_profile", "account_number", "name")
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    user_profile: _account_pb2.UserProfileSelector
    account_number: str
    name: str
    def __init__(self, user_profile: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., account_number: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("user_id", "username", "user_profile_id", "account_id", "account_number", "is_staff", "is_superuser")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    IS_STAFF_FIELD_NUMBER: _ClassVar[int]
    IS_SUPERUSER_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    username: str
    user_profile_id: int
    account_id: int
    account_number: str
    is_staff: bool
    is_superuser: bool
    def __init__(self, user_id: _Optional[int] = ..., username: _Optional[str] = ..., user_profile_id: _Optional[int] = ..., account_id: _Optional[int] = ..., account_number: _Optional[str] = ..., is_staff: bool = ..., is_superuser: bool = ...) -> None: ...
