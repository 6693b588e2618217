import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from keyward.rpc import status_pb2 as _status_pb2
from keyward.secret.v1 import secret_service_pb2 as _secret_service_pb2
from keyward.token.v1 import token_pb2 as _token_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HoldRefusal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOLD_REFUSAL_UNSPECIFIED: _ClassVar[HoldRefusal]
    HOLD_REFUSAL_REPLICA_HAS_NONE: _ClassVar[HoldRefusal]
    HOLD_REFUSAL_NOT_ACKNOWLEDGED: _ClassVar[HoldRefusal]
    HOLD_REFUSAL_TOO_SLOW: _ClassVar[HoldRefusal]
    HOLD_REFUSAL_STOPPING: _ClassVar[HoldRefusal]

class HoldLeaveReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOLD_LEAVE_REASON_UNSPECIFIED: _ClassVar[HoldLeaveReason]
    HOLD_LEAVE_REASON_STOPPING: _ClassVar[HoldLeaveReason]
HOLD_REFUSAL_UNSPECIFIED: HoldRefusal
HOLD_REFUSAL_REPLICA_HAS_NONE: HoldRefusal
HOLD_REFUSAL_NOT_ACKNOWLEDGED: HoldRefusal
HOLD_REFUSAL_TOO_SLOW: HoldRefusal
HOLD_REFUSAL_STOPPING: HoldRefusal
HOLD_LEAVE_REASON_UNSPECIFIED: HoldLeaveReason
HOLD_LEAVE_REASON_STOPPING: HoldLeaveReason

class HoldVerdictsRequest(_message.Message):
    __slots__ = ("open", "look_up", "access", "renewal", "acknowledgement", "left")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    LOOK_UP_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    open: HoldOpen
    look_up: HoldLookUp
    access: HoldAccess
    renewal: HoldRenewal
    acknowledgement: HoldAcknowledgement
    left: HoldLeft
    def __init__(self, open: _Optional[_Union[HoldOpen, _Mapping]] = ..., look_up: _Optional[_Union[HoldLookUp, _Mapping]] = ..., access: _Optional[_Union[HoldAccess, _Mapping]] = ..., renewal: _Optional[_Union[HoldRenewal, _Mapping]] = ..., acknowledgement: _Optional[_Union[HoldAcknowledgement, _Mapping]] = ..., left: _Optional[_Union[HoldLeft, _Mapping]] = ...) -> None: ...

class HoldVerdictsResponse(_message.Message):
    __slots__ = ("opened", "facts", "accessed", "grant", "invalidation", "leave")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    ACCESSED_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    INVALIDATION_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    opened: HoldOpened
    facts: HoldFacts
    accessed: HoldAccessed
    grant: HoldGrant
    invalidation: HoldInvalidation
    leave: HoldLeave
    def __init__(self, opened: _Optional[_Union[HoldOpened, _Mapping]] = ..., facts: _Optional[_Union[HoldFacts, _Mapping]] = ..., accessed: _Optional[_Union[HoldAccessed, _Mapping]] = ..., grant: _Optional[_Union[HoldGrant, _Mapping]] = ..., invalidation: _Optional[_Union[HoldInvalidation, _Mapping]] = ..., leave: _Optional[_Union[HoldLeave, _Mapping]] = ...) -> None: ...

class HoldPosition(_message.Message):
    __slots__ = ("epoch", "revision")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    revision: int
    def __init__(self, epoch: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class HoldOpen(_message.Message):
    __slots__ = ("client_id", "label", "agent", "position", "tokens", "secret_ids")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SECRET_IDS_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    label: str
    agent: str
    position: HoldPosition
    tokens: _containers.RepeatedCompositeFieldContainer[HoldOwned]
    secret_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, client_id: _Optional[str] = ..., label: _Optional[str] = ..., agent: _Optional[str] = ..., position: _Optional[_Union[HoldPosition, _Mapping]] = ..., tokens: _Optional[_Iterable[_Union[HoldOwned, _Mapping]]] = ..., secret_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class HoldOwned(_message.Message):
    __slots__ = ("user_profile_id", "user_id", "account_id", "handles")
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLES_FIELD_NUMBER: _ClassVar[int]
    user_profile_id: int
    user_id: int
    account_id: int
    handles: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, user_profile_id: _Optional[int] = ..., user_id: _Optional[int] = ..., account_id: _Optional[int] = ..., handles: _Optional[_Iterable[int]] = ...) -> None: ...

class HoldOpened(_message.Message):
    __slots__ = ("replica_id", "resumed", "max_entries", "max_secrets", "renew_every", "acknowledge_within")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    MAX_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MAX_SECRETS_FIELD_NUMBER: _ClassVar[int]
    RENEW_EVERY_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_WITHIN_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    resumed: bool
    max_entries: int
    max_secrets: int
    renew_every: _duration_pb2.Duration
    acknowledge_within: _duration_pb2.Duration
    def __init__(self, replica_id: _Optional[str] = ..., resumed: bool = ..., max_entries: _Optional[int] = ..., max_secrets: _Optional[int] = ..., renew_every: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., acknowledge_within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HoldLookUp(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedCompositeFieldContainer[HoldText]
    def __init__(self, texts: _Optional[_Iterable[_Union[HoldText, _Mapping]]] = ...) -> None: ...

class HoldText(_message.Message):
    __slots__ = ("id", "digest")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    id: int
    digest: bytes
    def __init__(self, id: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class HoldFacts(_message.Message):
    __slots__ = ("facts",)
    FACTS_FIELD_NUMBER: _ClassVar[int]
    facts: _containers.RepeatedCompositeFieldContainer[HoldFact]
    def __init__(self, facts: _Optional[_Iterable[_Union[HoldFact, _Mapping]]] = ...) -> None: ...

class HoldFact(_message.Message):
    __slots__ = ("id", "error", "keep", "known", "handle", "key_id", "name", "principal", "scopes", "is_active", "user_is_active", "account_is_active", "expires_in", "expires_at", "stale")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    USER_IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    id: int
    error: _status_pb2.Status
    keep: bool
    known: bool
    handle: int
    key_id: str
    name: str
    principal: _token_pb2.Principal
    scopes: _containers.RepeatedScalarFieldContainer[str]
    is_active: bool
    user_is_active: bool
    account_is_active: bool
    expires_in: _duration_pb2.Duration
    expires_at: _timestamp_pb2.Timestamp
    stale: bool
    def __init__(self, id: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., keep: bool = ..., known: bool = ..., handle: _Optional[int] = ..., key_id: _Optional[str] = ..., name: _Optional[str] = ..., principal: _Optional[_Union[_token_pb2.Principal, _Mapping]] = ..., scopes: _Optional[_Iterable[str]] = ..., is_active: bool = ..., user_is_active: bool = ..., account_is_active: bool = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stale: bool = ...) -> None: ...

class HoldAccess(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: int
    request: _secret_service_pb2.AccessSecretRequest
    def __init__(self, id: _Optional[int] = ..., request: _Optional[_Union[_secret_service_pb2.AccessSecretRequest, _Mapping]] = ...) -> None: ...

class HoldAccessed(_message.Message):
    __slots__ = ("id", "access", "error", "keep", "expires_in")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    id: int
    access: _secret_service_pb2.AccessSecretResponse
    error: _status_pb2.Status
    keep: bool
    expires_in: _duration_pb2.Duration
    def __init__(self, id: _Optional[int] = ..., access: _Optional[_Union[_secret_service_pb2.AccessSecretResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., keep: bool = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HoldRenewal(_message.Message):
    __slots__ = ("number", "released", "uses", "secret_uses")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    SECRET_USES_FIELD_NUMBER: _ClassVar[int]
    number: int
    released: _containers.RepeatedScalarFieldContainer[int]
    uses: _containers.RepeatedCompositeFieldContainer[HoldUse]
    secret_uses: _containers.RepeatedCompositeFieldContainer[HoldSecretUse]
    def __init__(self, number: _Optional[int] = ..., released: _Optional[_Iterable[int]] = ..., uses: _Optional[_Iterable[_Union[HoldUse, _Mapping]]] = ..., secret_uses: _Optional[_Iterable[_Union[HoldSecretUse, _Mapping]]] = ...) -> None: ...

class HoldUse(_message.Message):
    __slots__ = ("key_id", "count", "last_used_ago")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AGO_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    count: int
    last_used_ago: _duration_pb2.Duration
    def __init__(self, key_id: _Optional[str] = ..., count: _Optional[int] = ..., last_used_ago: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HoldSecretUse(_message.Message):
    __slots__ = ("secret_id", "count", "last_used_ago")
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AGO_FIELD_NUMBER: _ClassVar[int]
    secret_id: int
    count: int
    last_used_ago: _duration_pb2.Duration
    def __init__(self, secret_id: _Optional[int] = ..., count: _Optional[int] = ..., last_used_ago: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HoldGrant(_message.Message):
    __slots__ = ("number", "lease", "position", "refusal")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    number: int
    lease: _duration_pb2.Duration
    position: HoldPosition
    refusal: HoldRefusal
    def __init__(self, number: _Optional[int] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., position: _Optional[_Union[HoldPosition, _Mapping]] = ..., refusal: _Optional[_Union[HoldRefusal, str]] = ...) -> None: ...

class HoldInvalidation(_message.Message):
    __slots__ = ("number", "everything", "handles", "user_profile_ids", "user_ids", "account_ids", "secret_ids", "all_secrets", "position")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    HANDLES_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_IDS_FIELD_NUMBER: _ClassVar[int]
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_IDS_FIELD_NUMBER: _ClassVar[int]
    SECRET_IDS_FIELD_NUMBER: _ClassVar[int]
    ALL_SECRETS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    number: int
    everything: bool
    handles: _containers.RepeatedScalarFieldContainer[int]
    user_profile_ids: _containers.RepeatedScalarFieldContainer[int]
    user_ids: _containers.RepeatedScalarFieldContainer[int]
    account_ids: _containers.RepeatedScalarFieldContainer[int]
    secret_ids: _containers.RepeatedScalarFieldContainer[int]
    all_secrets: bool
    position: HoldPosition
    def __init__(self, number: _Optional[int] = ..., everything: bool = ..., handles: _Optional[_Iterable[int]] = ..., user_profile_ids: _Optional[_Iterable[int]] = ..., user_ids: _Optional[_Iterable[int]] = ..., account_ids: _Optional[_Iterable[int]] = ..., secret_ids: _Optional[_Iterable[int]] = ..., all_secrets: bool = ..., position: _Optional[_Union[HoldPosition, _Mapping]] = ...) -> None: ...

class HoldAcknowledgement(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class HoldLeave(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: HoldLeaveReason
    def __init__(self, reason: _Optional[_Union[HoldLeaveReason, str]] = ...) -> None: ...

class HoldLeft(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
