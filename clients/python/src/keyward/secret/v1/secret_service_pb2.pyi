import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from keyward.rpc import status_pb2 as _status_pb2
from keyward.account.v1 import account_pb2 as _account_pb2
from keyward.coherence.v1 import propagation_pb2 as _propagation_pb2
from keyward.secret.v1 import secret_pb2 as _secret_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SecretEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SECRET_EVENT_TYPE_UNSPECIFIED: _ClassVar[SecretEventType]
    SECRET_EVENT_TYPE_CREATED: _ClassVar[SecretEventType]
    SECRET_EVENT_TYPE_UPDATED: _ClassVar[SecretEventType]
    SECRET_EVENT_TYPE_DELETED: _ClassVar[SecretEventType]
    SECRET_EVENT_TYPE_OWNER_CHANGED: _ClassVar[SecretEventType]
    SECRET_EVENT_TYPE_ALL_CHANGED: _ClassVar[SecretEventType]
SECRET_EVENT_TYPE_UNSPECIFIED: SecretEventType
SECRET_EVENT_TYPE_CREATED: SecretEventType
SECRET_EVENT_TYPE_UPDATED: SecretEventType
SECRET_EVENT_TYPE_DELETED: SecretEventType
SECRET_EVENT_TYPE_OWNER_CHANGED: SecretEventType
SECRET_EVENT_TYPE_ALL_CHANGED: SecretEventType

class CreateSecretRequest(_message.Message):
    __slots__ = ("owner", "name", "description", "version", "tags", "annotations", "manifest_path", "expires_at", "ttl", "payload", "request_id", "validate_only")
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
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    owner: _account_pb2.UserProfileSelector
    name: str
    description: str
    version: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    annotations: _containers.ScalarMap[str, str]
    manifest_path: str
    expires_at: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    payload: _secret_pb2.SecretPayload
    request_id: str
    validate_only: bool
    def __init__(self, owner: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., manifest_path: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., payload: _Optional[_Union[_secret_pb2.SecretPayload, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ...) -> None: ...

class GetSecretRequest(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.SecretSelector
    def __init__(self, secret: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ...) -> None: ...

class GetSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ...) -> None: ...

class ListSecretsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "order_by", "show_deleted")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    order_by: str
    show_deleted: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., show_deleted: bool = ...) -> None: ...

class ListSecretsResponse(_message.Message):
    __slots__ = ("secrets", "next_page_token")
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.RepeatedCompositeFieldContainer[_secret_pb2.Secret]
    next_page_token: str
    def __init__(self, secrets: _Optional[_Iterable[_Union[_secret_pb2.Secret, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateSecretRequest(_message.Message):
    __slots__ = ("selector", "secret", "update_mask", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    secret: _secret_pb2.Secret
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UpdateSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ...) -> None: ...

class RenameSecretRequest(_message.Message):
    __slots__ = ("selector", "new_name", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    new_name: str
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., new_name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class RenameSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ...) -> None: ...

class CloneSecretRequest(_message.Message):
    __slots__ = ("selector", "new_name", "owner", "request_id", "new_version", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    new_name: str
    owner: _account_pb2.UserProfileSelector
    request_id: str
    new_version: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., new_name: _Optional[str] = ..., owner: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., request_id: _Optional[str] = ..., new_version: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CloneSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ...) -> None: ...

class TransferSecretRequest(_message.Message):
    __slots__ = ("selector", "owner", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    owner: _account_pb2.UserProfileSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., owner: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class TransferSecretResponse(_message.Message):
    __slots__ = ("secret", "propagation")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    propagation: _propagation_pb2.Propagation
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class DeleteSecretRequest(_message.Message):
    __slots__ = ("selector", "etag", "force", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    etag: str
    force: bool
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., etag: _Optional[str] = ..., force: bool = ..., validate_only: bool = ...) -> None: ...

class DeleteSecretResponse(_message.Message):
    __slots__ = ("secret", "propagation")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    propagation: _propagation_pb2.Propagation
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class UndeleteSecretRequest(_message.Message):
    __slots__ = ("selector", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UndeleteSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.Secret
    def __init__(self, secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ...) -> None: ...

class AddSecretVersionRequest(_message.Message):
    __slots__ = ("selector", "payload", "etag", "request_id", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    payload: _secret_pb2.SecretPayload
    etag: str
    request_id: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., payload: _Optional[_Union[_secret_pb2.SecretPayload, _Mapping]] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class AddSecretVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: _secret_pb2.SecretVersion
    def __init__(self, version: _Optional[_Union[_secret_pb2.SecretVersion, _Mapping]] = ...) -> None: ...

class ListSecretVersionsRequest(_message.Message):
    __slots__ = ("secret", "page_size", "page_token", "filter", "order_by")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.SecretSelector
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, secret: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListSecretVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[_secret_pb2.SecretVersion]
    next_page_token: str
    def __init__(self, versions: _Optional[_Iterable[_Union[_secret_pb2.SecretVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DisableSecretVersionRequest(_message.Message):
    __slots__ = ("selector", "version", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    version: int
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., version: _Optional[int] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DisableSecretVersionResponse(_message.Message):
    __slots__ = ("version", "propagation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    version: _secret_pb2.SecretVersion
    propagation: _propagation_pb2.Propagation
    def __init__(self, version: _Optional[_Union[_secret_pb2.SecretVersion, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class EnableSecretVersionRequest(_message.Message):
    __slots__ = ("selector", "version", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    version: int
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., version: _Optional[int] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class EnableSecretVersionResponse(_message.Message):
    __slots__ = ("version", "propagation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    version: _secret_pb2.SecretVersion
    propagation: _propagation_pb2.Propagation
    def __init__(self, version: _Optional[_Union[_secret_pb2.SecretVersion, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class DestroySecretVersionRequest(_message.Message):
    __slots__ = ("selector", "version", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    version: int
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., version: _Optional[int] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DestroySecretVersionResponse(_message.Message):
    __slots__ = ("version", "propagation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    version: _secret_pb2.SecretVersion
    propagation: _propagation_pb2.Propagation
    def __init__(self, version: _Optional[_Union[_secret_pb2.SecretVersion, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class AccessSecretRequest(_message.Message):
    __slots__ = ("secret", "version", "include_expired", "skip_access_time")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    SKIP_ACCESS_TIME_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.SecretSelector
    version: int
    include_expired: bool
    skip_access_time: bool
    def __init__(self, secret: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., version: _Optional[int] = ..., include_expired: bool = ..., skip_access_time: bool = ...) -> None: ...

class AccessSecretResponse(_message.Message):
    __slots__ = ("secret_id", "version", "payload")
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    secret_id: int
    version: int
    payload: _secret_pb2.SecretPayload
    def __init__(self, secret_id: _Optional[int] = ..., version: _Optional[int] = ..., payload: _Optional[_Union[_secret_pb2.SecretPayload, _Mapping]] = ...) -> None: ...

class BatchAccessSecretsRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[AccessSecretRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[AccessSecretRequest, _Mapping]]] = ...) -> None: ...

class BatchAccessSecretsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchAccessSecretsResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchAccessSecretsResult, _Mapping]]] = ...) -> None: ...

class BatchAccessSecretsResult(_message.Message):
    __slots__ = ("access", "error")
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    access: AccessSecretResponse
    error: _status_pb2.Status
    def __init__(self, access: _Optional[_Union[AccessSecretResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class AttachReferenceRequest(_message.Message):
    __slots__ = ("selector", "kind", "consumer", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    kind: str
    consumer: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., kind: _Optional[str] = ..., consumer: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class AttachReferenceResponse(_message.Message):
    __slots__ = ("reference",)
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: _secret_pb2.SecretReference
    def __init__(self, reference: _Optional[_Union[_secret_pb2.SecretReference, _Mapping]] = ...) -> None: ...

class DetachReferenceRequest(_message.Message):
    __slots__ = ("selector", "kind", "consumer", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    kind: str
    consumer: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., kind: _Optional[str] = ..., consumer: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DetachReferenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReferencesRequest(_message.Message):
    __slots__ = ("secret", "page_size", "page_token", "filter", "order_by")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.SecretSelector
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, secret: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListReferencesResponse(_message.Message):
    __slots__ = ("references", "next_page_token")
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedCompositeFieldContainer[_secret_pb2.SecretReference]
    next_page_token: str
    def __init__(self, references: _Optional[_Iterable[_Union[_secret_pb2.SecretReference, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GrantAccessRequest(_message.Message):
    __slots__ = ("selector", "user_profile", "expires_at", "ttl", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    user_profile: _account_pb2.UserProfileSelector
    expires_at: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., user_profile: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class GrantAccessResponse(_message.Message):
    __slots__ = ("grant",)
    GRANT_FIELD_NUMBER: _ClassVar[int]
    grant: _secret_pb2.SecretGrant
    def __init__(self, grant: _Optional[_Union[_secret_pb2.SecretGrant, _Mapping]] = ...) -> None: ...

class RevokeAccessRequest(_message.Message):
    __slots__ = ("selector", "user_profile", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _secret_pb2.SecretSelector
    user_profile: _account_pb2.UserProfileSelector
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., user_profile: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class RevokeAccessResponse(_message.Message):
    __slots__ = ("propagation",)
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    propagation: _propagation_pb2.Propagation
    def __init__(self, propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class ListGrantsRequest(_message.Message):
    __slots__ = ("secret", "page_size", "page_token", "filter", "order_by")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    secret: _secret_pb2.SecretSelector
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, secret: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListGrantsResponse(_message.Message):
    __slots__ = ("grants", "next_page_token")
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    grants: _containers.RepeatedCompositeFieldContainer[_secret_pb2.SecretGrant]
    next_page_token: str
    def __init__(self, grants: _Optional[_Iterable[_Union[_secret_pb2.SecretGrant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RotateEncryptionKeyRequest(_message.Message):
    __slots__ = ("dry_run", "batch_size")
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    batch_size: int
    def __init__(self, dry_run: bool = ..., batch_size: _Optional[int] = ...) -> None: ...

class RotateEncryptionKeyResponse(_message.Message):
    __slots__ = ("done", "total", "failed", "finished", "primary_key_id")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    failed: int
    finished: bool
    primary_key_id: str
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., failed: _Optional[int] = ..., finished: bool = ..., primary_key_id: _Optional[str] = ...) -> None: ...

class GetRotationStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRotationStatusResponse(_message.Message):
    __slots__ = ("primary_key_id", "keys", "undecryptable_count", "undecryptable")
    PRIMARY_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    UNDECRYPTABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNDECRYPTABLE_FIELD_NUMBER: _ClassVar[int]
    primary_key_id: str
    keys: _containers.RepeatedCompositeFieldContainer[_secret_pb2.KeyUsage]
    undecryptable_count: int
    undecryptable: _containers.RepeatedCompositeFieldContainer[_secret_pb2.UndecryptableVersion]
    def __init__(self, primary_key_id: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[_secret_pb2.KeyUsage, _Mapping]]] = ..., undecryptable_count: _Optional[int] = ..., undecryptable: _Optional[_Iterable[_Union[_secret_pb2.UndecryptableVersion, _Mapping]]] = ...) -> None: ...

class WatchSecretsRequest(_message.Message):
    __slots__ = ("revision", "resume_token", "heartbeat_interval")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    revision: int
    resume_token: str
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, revision: _Optional[int] = ..., resume_token: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchSecretsResponse(_message.Message):
    __slots__ = ("revision", "resume_token", "events")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    resume_token: str
    events: _containers.RepeatedCompositeFieldContainer[SecretEvent]
    def __init__(self, revision: _Optional[int] = ..., resume_token: _Optional[str] = ..., events: _Optional[_Iterable[_Union[SecretEvent, _Mapping]]] = ...) -> None: ...

class SecretEvent(_message.Message):
    __slots__ = ("type", "revision", "committed_at", "secret_id", "hashed_id", "record_locator", "secret", "user_profile_id", "user_id", "account_id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    HASHED_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    type: SecretEventType
    revision: int
    committed_at: _timestamp_pb2.Timestamp
    secret_id: int
    hashed_id: str
    record_locator: str
    secret: _secret_pb2.Secret
    user_profile_id: int
    user_id: int
    account_id: int
    def __init__(self, type: _Optional[_Union[SecretEventType, str]] = ..., revision: _Optional[int] = ..., committed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., secret_id: _Optional[int] = ..., hashed_id: _Optional[str] = ..., record_locator: _Optional[str] = ..., secret: _Optional[_Union[_secret_pb2.Secret, _Mapping]] = ..., user_profile_id: _Optional[int] = ..., user_id: _Optional[int] = ..., account_id: _Optional[int] = ...) -> None: ...
