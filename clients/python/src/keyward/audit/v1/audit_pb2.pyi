import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_ACTION_UNSPECIFIED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_CREATED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_EDITED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_ACCESSED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_DELETED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_READY: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_RENAMED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_CLONED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_UNDELETED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_PURGED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_VERSION_ADDED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_VERSION_DISABLED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_VERSION_ENABLED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_VERSION_DESTROYED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_REFERENCE_ATTACHED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_REFERENCE_DETACHED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_GRANTED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_GRANT_REVOKED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRETS_REENCRYPTED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_CREATED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_EDITED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_RENAMED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_CLONED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_ACTIVATED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_DEACTIVATED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_ROTATED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_DELETED: _ClassVar[AuditAction]
    AUDIT_ACTION_ACCOUNT_CREATED: _ClassVar[AuditAction]
    AUDIT_ACTION_ACCOUNT_EDITED: _ClassVar[AuditAction]
    AUDIT_ACTION_ACCOUNT_DELETED: _ClassVar[AuditAction]
    AUDIT_ACTION_USER_CREATED: _ClassVar[AuditAction]
    AUDIT_ACTION_USER_EDITED: _ClassVar[AuditAction]
    AUDIT_ACTION_USER_DELETED: _ClassVar[AuditAction]
    AUDIT_ACTION_USER_PROFILE_CREATED: _ClassVar[AuditAction]
    AUDIT_ACTION_USER_PROFILE_EDITED: _ClassVar[AuditAction]
    AUDIT_ACTION_USER_PROFILE_DELETED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_REFERENCE_ATTACHED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_REFERENCE_DETACHED: _ClassVar[AuditAction]
    AUDIT_ACTION_TOKEN_TRANSFERRED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRET_TRANSFERRED: _ClassVar[AuditAction]
    AUDIT_ACTION_DATA_IMPORTED: _ClassVar[AuditAction]
    AUDIT_ACTION_AUTHENTICATION_SUCCEEDED: _ClassVar[AuditAction]
    AUDIT_ACTION_AUTHENTICATION_FAILED: _ClassVar[AuditAction]
    AUDIT_ACTION_SECRETS_BOUND: _ClassVar[AuditAction]
    AUDIT_ACTION_AUDIT_TAMPERED: _ClassVar[AuditAction]
    AUDIT_ACTION_KEYS_RETIRED: _ClassVar[AuditAction]
    AUDIT_ACTION_DATA_EXPORTED: _ClassVar[AuditAction]
AUDIT_ACTION_UNSPECIFIED: AuditAction
AUDIT_ACTION_SECRET_CREATED: AuditAction
AUDIT_ACTION_SECRET_EDITED: AuditAction
AUDIT_ACTION_SECRET_ACCESSED: AuditAction
AUDIT_ACTION_SECRET_DELETED: AuditAction
AUDIT_ACTION_SECRET_READY: AuditAction
AUDIT_ACTION_SECRET_RENAMED: AuditAction
AUDIT_ACTION_SECRET_CLONED: AuditAction
AUDIT_ACTION_SECRET_UNDELETED: AuditAction
AUDIT_ACTION_SECRET_PURGED: AuditAction
AUDIT_ACTION_SECRET_VERSION_ADDED: AuditAction
AUDIT_ACTION_SECRET_VERSION_DISABLED: AuditAction
AUDIT_ACTION_SECRET_VERSION_ENABLED: AuditAction
AUDIT_ACTION_SECRET_VERSION_DESTROYED: AuditAction
AUDIT_ACTION_SECRET_REFERENCE_ATTACHED: AuditAction
AUDIT_ACTION_SECRET_REFERENCE_DETACHED: AuditAction
AUDIT_ACTION_SECRET_GRANTED: AuditAction
AUDIT_ACTION_SECRET_GRANT_REVOKED: AuditAction
AUDIT_ACTION_SECRETS_REENCRYPTED: AuditAction
AUDIT_ACTION_TOKEN_CREATED: AuditAction
AUDIT_ACTION_TOKEN_EDITED: AuditAction
AUDIT_ACTION_TOKEN_RENAMED: AuditAction
AUDIT_ACTION_TOKEN_CLONED: AuditAction
AUDIT_ACTION_TOKEN_ACTIVATED: AuditAction
AUDIT_ACTION_TOKEN_DEACTIVATED: AuditAction
AUDIT_ACTION_TOKEN_ROTATED: AuditAction
AUDIT_ACTION_TOKEN_DELETED: AuditAction
AUDIT_ACTION_ACCOUNT_CREATED: AuditAction
AUDIT_ACTION_ACCOUNT_EDITED: AuditAction
AUDIT_ACTION_ACCOUNT_DELETED: AuditAction
AUDIT_ACTION_USER_CREATED: AuditAction
AUDIT_ACTION_USER_EDITED: AuditAction
AUDIT_ACTION_USER_DELETED: AuditAction
AUDIT_ACTION_USER_PROFILE_CREATED: AuditAction
AUDIT_ACTION_USER_PROFILE_EDITED: AuditAction
AUDIT_ACTION_USER_PROFILE_DELETED: AuditAction
AUDIT_ACTION_TOKEN_REFERENCE_ATTACHED: AuditAction
AUDIT_ACTION_TOKEN_REFERENCE_DETACHED: AuditAction
AUDIT_ACTION_TOKEN_TRANSFERRED: AuditAction
AUDIT_ACTION_SECRET_TRANSFERRED: AuditAction
AUDIT_ACTION_DATA_IMPORTED: AuditAction
AUDIT_ACTION_AUTHENTICATION_SUCCEEDED: AuditAction
AUDIT_ACTION_AUTHENTICATION_FAILED: AuditAction
AUDIT_ACTION_SECRETS_BOUND: AuditAction
AUDIT_ACTION_AUDIT_TAMPERED: AuditAction
AUDIT_ACTION_KEYS_RETIRED: AuditAction
AUDIT_ACTION_DATA_EXPORTED: AuditAction

class AuditEvent(_message.Message):
    __slots__ = ("id", "occurred_at", "action", "outcome", "actor", "resource", "detail", "request_id", "chain", "sequence")
    class DetailEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    id: int
    occurred_at: _timestamp_pb2.Timestamp
    action: AuditAction
    outcome: str
    actor: AuditActor
    resource: AuditResource
    detail: _containers.ScalarMap[str, str]
    request_id: str
    chain: str
    sequence: int
    def __init__(self, id: _Optional[int] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., action: _Optional[_Union[AuditAction, str]] = ..., outcome: _Optional[str] = ..., actor: _Optional[_Union[AuditActor, _Mapping]] = ..., resource: _Optional[_Union[AuditResource, _Mapping]] = ..., detail: _Optional[_Mapping[str, str]] = ..., request_id: _Optional[str] = ..., chain: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class AuditActor(_message.Message):
    __slots__ = ("key_id", "user_id", "username", "account_number", "peer", "certificate")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    user_id: int
    username: str
    account_number: str
    peer: str
    certificate: str
    def __init__(self, key_id: _Optional[str] = ..., user_id: _Optional[int] = ..., username: _Optional[str] = ..., account_number: _Optional[str] = ..., peer: _Optional[str] = ..., certificate: _Optional[str] = ...) -> None: ...

class AuditResource(_message.Message):
    __slots__ = ("kind", "id", "user_profile_id", "account_number", "account_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: int
    user_profile_id: int
    account_number: str
    account_id: int
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[int] = ..., user_profile_id: _Optional[int] = ..., account_number: _Optional[str] = ..., account_id: _Optional[int] = ...) -> None: ...
