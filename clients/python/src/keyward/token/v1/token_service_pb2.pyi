import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from keyward.account.v1 import account_pb2 as _account_pb2
from keyward.coherence.v1 import propagation_pb2 as _propagation_pb2
from keyward.token.v1 import hold_verdicts_pb2 as _hold_verdicts_pb2
from keyward.token.v1 import token_pb2 as _token_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TokenEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_EVENT_TYPE_UNSPECIFIED: _ClassVar[TokenEventType]
    TOKEN_EVENT_TYPE_CREATED: _ClassVar[TokenEventType]
    TOKEN_EVENT_TYPE_UPDATED: _ClassVar[TokenEventType]
    TOKEN_EVENT_TYPE_DELETED: _ClassVar[TokenEventType]
    TOKEN_EVENT_TYPE_OWNER_CHANGED: _ClassVar[TokenEventType]
    TOKEN_EVENT_TYPE_ALL_CHANGED: _ClassVar[TokenEventType]
TOKEN_EVENT_TYPE_UNSPECIFIED: TokenEventType
TOKEN_EVENT_TYPE_CREATED: TokenEventType
TOKEN_EVENT_TYPE_UPDATED: TokenEventType
TOKEN_EVENT_TYPE_DELETED: TokenEventType
TOKEN_EVENT_TYPE_OWNER_CHANGED: TokenEventType
TOKEN_EVENT_TYPE_ALL_CHANGED: TokenEventType

class ValidateTokenRequest(_message.Message):
    __slots__ = ("token", "required_scopes")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_SCOPES_FIELD_NUMBER: _ClassVar[int]
    token: str
    required_scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token: _Optional[str] = ..., required_scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class ValidateTokenResponse(_message.Message):
    __slots__ = ("valid", "reason", "key_id", "principal", "name", "scopes", "expires_at", "stale")
    VALID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    reason: _token_pb2.VerdictReason
    key_id: str
    principal: _token_pb2.Principal
    name: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    stale: bool
    def __init__(self, valid: bool = ..., reason: _Optional[_Union[_token_pb2.VerdictReason, str]] = ..., key_id: _Optional[str] = ..., principal: _Optional[_Union[_token_pb2.Principal, _Mapping]] = ..., name: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stale: bool = ...) -> None: ...

class StreamValidateTokensRequest(_message.Message):
    __slots__ = ("token", "required_scopes")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_SCOPES_FIELD_NUMBER: _ClassVar[int]
    token: str
    required_scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token: _Optional[str] = ..., required_scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamValidateTokensResponse(_message.Message):
    __slots__ = ("valid", "reason", "key_id", "principal", "name", "scopes", "expires_at", "stale")
    VALID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    reason: _token_pb2.VerdictReason
    key_id: str
    principal: _token_pb2.Principal
    name: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    stale: bool
    def __init__(self, valid: bool = ..., reason: _Optional[_Union[_token_pb2.VerdictReason, str]] = ..., key_id: _Optional[str] = ..., principal: _Optional[_Union[_token_pb2.Principal, _Mapping]] = ..., name: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stale: bool = ...) -> None: ...

class BatchValidateTokensRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[ValidateTokenRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[ValidateTokenRequest, _Mapping]]] = ...) -> None: ...

class BatchValidateTokensResponse(_message.Message):
    __slots__ = ("responses",)
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[ValidateTokenResponse]
    def __init__(self, responses: _Optional[_Iterable[_Union[ValidateTokenResponse, _Mapping]]] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("owner", "name", "description", "version", "tags", "annotations", "manifest_path", "scopes", "expires_at", "ttl", "prefix", "is_active", "request_id", "validate_only")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OWNER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_PATH_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    owner: _account_pb2.UserProfileSelector
    name: str
    description: str
    version: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    annotations: _containers.ScalarMap[str, str]
    manifest_path: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    prefix: str
    is_active: bool
    request_id: str
    validate_only: bool
    def __init__(self, owner: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., manifest_path: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., prefix: _Optional[str] = ..., is_active: bool = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token", "plaintext")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    plaintext: str
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., plaintext: _Optional[str] = ...) -> None: ...

class GetTokenRequest(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.TokenSelector
    def __init__(self, token: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ...) -> None: ...

class GetTokenResponse(_message.Message):
    __slots__ = ("token", "consumers")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    consumers: _token_pb2.TokenConsumers
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "order_by")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens", "next_page_token")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[_token_pb2.Token]
    next_page_token: str
    def __init__(self, tokens: _Optional[_Iterable[_Union[_token_pb2.Token, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateTokenRequest(_message.Message):
    __slots__ = ("selector", "token", "update_mask", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    token: _token_pb2.Token
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UpdateTokenResponse(_message.Message):
    __slots__ = ("token", "propagation", "consumers")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    propagation: _propagation_pb2.Propagation
    consumers: _token_pb2.TokenConsumers
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class RenameTokenRequest(_message.Message):
    __slots__ = ("selector", "new_name", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    new_name: str
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., new_name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class RenameTokenResponse(_message.Message):
    __slots__ = ("token", "propagation")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    propagation: _propagation_pb2.Propagation
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class CloneTokenRequest(_message.Message):
    __slots__ = ("selector", "new_name", "request_id", "new_version", "owner", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    new_name: str
    request_id: str
    new_version: str
    owner: _account_pb2.UserProfileSelector
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., new_name: _Optional[str] = ..., request_id: _Optional[str] = ..., new_version: _Optional[str] = ..., owner: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class CloneTokenResponse(_message.Message):
    __slots__ = ("token", "plaintext")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    plaintext: str
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., plaintext: _Optional[str] = ...) -> None: ...

class TransferTokenRequest(_message.Message):
    __slots__ = ("selector", "owner", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    owner: _account_pb2.UserProfileSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., owner: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class TransferTokenResponse(_message.Message):
    __slots__ = ("token", "propagation")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    propagation: _propagation_pb2.Propagation
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class ActivateTokenRequest(_message.Message):
    __slots__ = ("selector", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class ActivateTokenResponse(_message.Message):
    __slots__ = ("token", "propagation")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    propagation: _propagation_pb2.Propagation
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class DeactivateTokenRequest(_message.Message):
    __slots__ = ("selector", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DeactivateTokenResponse(_message.Message):
    __slots__ = ("token", "propagation", "consumers")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    propagation: _propagation_pb2.Propagation
    consumers: _token_pb2.TokenConsumers
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class ToggleTokenRequest(_message.Message):
    __slots__ = ("selector", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class ToggleTokenResponse(_message.Message):
    __slots__ = ("token", "propagation", "consumers")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    propagation: _propagation_pb2.Propagation
    consumers: _token_pb2.TokenConsumers
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class RotateTokenRequest(_message.Message):
    __slots__ = ("selector", "grace_period", "etag", "request_id", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    GRACE_PERIOD_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    grace_period: _duration_pb2.Duration
    etag: str
    request_id: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., grace_period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class RotateTokenResponse(_message.Message):
    __slots__ = ("token", "plaintext", "propagation", "consumers")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.Token
    plaintext: str
    propagation: _propagation_pb2.Propagation
    consumers: _token_pb2.TokenConsumers
    def __init__(self, token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., plaintext: _Optional[str] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("selector", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ("propagation", "consumers")
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    propagation: _propagation_pb2.Propagation
    consumers: _token_pb2.TokenConsumers
    def __init__(self, propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class RevokeUserTokensRequest(_message.Message):
    __slots__ = ("user", "validate_only")
    USER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    user: _account_pb2.UserSelector
    validate_only: bool
    def __init__(self, user: _Optional[_Union[_account_pb2.UserSelector, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class RevokeUserTokensResponse(_message.Message):
    __slots__ = ("revoked_count", "propagation", "consumers")
    REVOKED_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    revoked_count: int
    propagation: _propagation_pb2.Propagation
    consumers: _token_pb2.TokenConsumers
    def __init__(self, revoked_count: _Optional[int] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...

class AttachReferenceRequest(_message.Message):
    __slots__ = ("selector", "kind", "consumer", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    kind: str
    consumer: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., kind: _Optional[str] = ..., consumer: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class AttachReferenceResponse(_message.Message):
    __slots__ = ("reference",)
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: _token_pb2.TokenReference
    def __init__(self, reference: _Optional[_Union[_token_pb2.TokenReference, _Mapping]] = ...) -> None: ...

class DetachReferenceRequest(_message.Message):
    __slots__ = ("selector", "kind", "consumer", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _token_pb2.TokenSelector
    kind: str
    consumer: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., kind: _Optional[str] = ..., consumer: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DetachReferenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReferencesRequest(_message.Message):
    __slots__ = ("token", "page_size", "page_token", "filter", "order_by")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.TokenSelector
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, token: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListReferencesResponse(_message.Message):
    __slots__ = ("references", "next_page_token")
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedCompositeFieldContainer[_token_pb2.TokenReference]
    next_page_token: str
    def __init__(self, references: _Optional[_Iterable[_Union[_token_pb2.TokenReference, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchTokensRequest(_message.Message):
    __slots__ = ("revision", "resume_token", "heartbeat_interval")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    revision: int
    resume_token: str
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, revision: _Optional[int] = ..., resume_token: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchTokensResponse(_message.Message):
    __slots__ = ("revision", "resume_token", "events")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    resume_token: str
    events: _containers.RepeatedCompositeFieldContainer[TokenEvent]
    def __init__(self, revision: _Optional[int] = ..., resume_token: _Optional[str] = ..., events: _Optional[_Iterable[_Union[TokenEvent, _Mapping]]] = ...) -> None: ...

class TokenEvent(_message.Message):
    __slots__ = ("type", "revision", "committed_at", "token_id", "hashed_id", "record_locator", "key_id", "token", "user_profile_id", "user_id", "account_id", "consumers")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    HASHED_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    type: TokenEventType
    revision: int
    committed_at: _timestamp_pb2.Timestamp
    token_id: int
    hashed_id: str
    record_locator: str
    key_id: str
    token: _token_pb2.Token
    user_profile_id: int
    user_id: int
    account_id: int
    consumers: _token_pb2.TokenConsumers
    def __init__(self, type: _Optional[_Union[TokenEventType, str]] = ..., revision: _Optional[int] = ..., committed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., token_id: _Optional[int] = ..., hashed_id: _Optional[str] = ..., record_locator: _Optional[str] = ..., key_id: _Optional[str] = ..., token: _Optional[_Union[_token_pb2.Token, _Mapping]] = ..., user_profile_id: _Optional[int] = ..., user_id: _Optional[int] = ..., account_id: _Optional[int] = ..., consumers: _Optional[_Union[_token_pb2.TokenConsumers, _Mapping]] = ...) -> None: ...
