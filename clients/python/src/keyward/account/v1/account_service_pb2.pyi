from google.protobuf import field_mask_pb2 as _field_mask_pb2
from keyward.account.v1 import account_pb2 as _account_pb2
from keyward.coherence.v1 import propagation_pb2 as _propagation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateAccountRequest(_message.Message):
    __slots__ = ("account_number", "name", "company_name", "description", "version", "tags", "annotations", "manifest_path", "is_active", "request_id", "validate_only")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMPANY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_PATH_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    account_number: str
    name: str
    company_name: str
    description: str
    version: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    annotations: _containers.ScalarMap[str, str]
    manifest_path: str
    is_active: bool
    request_id: str
    validate_only: bool
    def __init__(self, account_number: _Optional[str] = ..., name: _Optional[str] = ..., company_name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., manifest_path: _Optional[str] = ..., is_active: bool = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: _account_pb2.Account
    def __init__(self, account: _Optional[_Union[_account_pb2.Account, _Mapping]] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: _account_pb2.AccountSelector
    def __init__(self, account: _Optional[_Union[_account_pb2.AccountSelector, _Mapping]] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: _account_pb2.Account
    def __init__(self, account: _Optional[_Union[_account_pb2.Account, _Mapping]] = ...) -> None: ...

class ListAccountsRequest(_message.Message):
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

class ListAccountsResponse(_message.Message):
    __slots__ = ("accounts", "next_page_token")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[_account_pb2.Account]
    next_page_token: str
    def __init__(self, accounts: _Optional[_Iterable[_Union[_account_pb2.Account, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateAccountRequest(_message.Message):
    __slots__ = ("selector", "account", "update_mask", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _account_pb2.AccountSelector
    account: _account_pb2.Account
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_account_pb2.AccountSelector, _Mapping]] = ..., account: _Optional[_Union[_account_pb2.Account, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UpdateAccountResponse(_message.Message):
    __slots__ = ("account", "propagation")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    account: _account_pb2.Account
    propagation: _propagation_pb2.Propagation
    def __init__(self, account: _Optional[_Union[_account_pb2.Account, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class DeleteAccountRequest(_message.Message):
    __slots__ = ("selector", "etag", "force", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _account_pb2.AccountSelector
    etag: str
    force: bool
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_account_pb2.AccountSelector, _Mapping]] = ..., etag: _Optional[str] = ..., force: bool = ..., validate_only: bool = ...) -> None: ...

class DeleteAccountResponse(_message.Message):
    __slots__ = ("propagation",)
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    propagation: _propagation_pb2.Propagation
    def __init__(self, propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class CreateUserRequest(_message.Message):
    __slots__ = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "request_id", "validate_only")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_NAME_FIELD_NUMBER: _ClassVar[int]
    LAST_NAME_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    IS_STAFF_FIELD_NUMBER: _ClassVar[int]
    IS_SUPERUSER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    username: str
    email: str
    first_name: str
    last_name: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    request_id: str
    validate_only: bool
    def __init__(self, username: _Optional[str] = ..., email: _Optional[str] = ..., first_name: _Optional[str] = ..., last_name: _Optional[str] = ..., is_active: bool = ..., is_staff: bool = ..., is_superuser: bool = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _account_pb2.User
    def __init__(self, user: _Optional[_Union[_account_pb2.User, _Mapping]] = ...) -> None: ...

class GetUserRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _account_pb2.UserSelector
    def __init__(self, user: _Optional[_Union[_account_pb2.UserSelector, _Mapping]] = ...) -> None: ...

class GetUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _account_pb2.User
    def __init__(self, user: _Optional[_Union[_account_pb2.User, _Mapping]] = ...) -> None: ...

class ListUsersRequest(_message.Message):
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

class ListUsersResponse(_message.Message):
    __slots__ = ("users", "next_page_token")
    USERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[_account_pb2.User]
    next_page_token: str
    def __init__(self, users: _Optional[_Iterable[_Union[_account_pb2.User, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateUserRequest(_message.Message):
    __slots__ = ("selector", "user", "update_mask", "etag", "keep_tokens", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    KEEP_TOKENS_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _account_pb2.UserSelector
    user: _account_pb2.User
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    keep_tokens: bool
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_account_pb2.UserSelector, _Mapping]] = ..., user: _Optional[_Union[_account_pb2.User, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ..., keep_tokens: bool = ..., validate_only: bool = ...) -> None: ...

class UpdateUserResponse(_message.Message):
    __slots__ = ("user", "propagation", "deactivated_tokens", "deactivated_count")
    USER_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    DEACTIVATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DEACTIVATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    user: _account_pb2.User
    propagation: _propagation_pb2.Propagation
    deactivated_tokens: _containers.RepeatedCompositeFieldContainer[DeactivatedToken]
    deactivated_count: int
    def __init__(self, user: _Optional[_Union[_account_pb2.User, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., deactivated_tokens: _Optional[_Iterable[_Union[DeactivatedToken, _Mapping]]] = ..., deactivated_count: _Optional[int] = ...) -> None: ...

class DeactivatedToken(_message.Message):
    __slots__ = ("id", "record_locator", "key_id", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: int
    record_locator: str
    key_id: str
    name: str
    def __init__(self, id: _Optional[int] = ..., record_locator: _Optional[str] = ..., key_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class DeleteUserRequest(_message.Message):
    __slots__ = ("selector", "etag", "force", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _account_pb2.UserSelector
    etag: str
    force: bool
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_account_pb2.UserSelector, _Mapping]] = ..., etag: _Optional[str] = ..., force: bool = ..., validate_only: bool = ...) -> None: ...

class DeleteUserResponse(_message.Message):
    __slots__ = ("propagation",)
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    propagation: _propagation_pb2.Propagation
    def __init__(self, propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class CreateUserProfileRequest(_message.Message):
    __slots__ = ("user", "account", "name", "description", "version", "tags", "annotations", "manifest_path", "keep_tokens", "request_id", "validate_only")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_PATH_FIELD_NUMBER: _ClassVar[int]
    KEEP_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    user: _account_pb2.UserSelector
    account: _account_pb2.AccountSelector
    name: str
    description: str
    version: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    annotations: _containers.ScalarMap[str, str]
    manifest_path: str
    keep_tokens: bool
    request_id: str
    validate_only: bool
    def __init__(self, user: _Optional[_Union[_account_pb2.UserSelector, _Mapping]] = ..., account: _Optional[_Union[_account_pb2.AccountSelector, _Mapping]] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., manifest_path: _Optional[str] = ..., keep_tokens: bool = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateUserProfileResponse(_message.Message):
    __slots__ = ("user_profile", "propagation", "deactivated_tokens", "deactivated_count")
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    DEACTIVATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DEACTIVATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    user_profile: _account_pb2.UserProfile
    propagation: _propagation_pb2.Propagation
    deactivated_tokens: _containers.RepeatedCompositeFieldContainer[DeactivatedToken]
    deactivated_count: int
    def __init__(self, user_profile: _Optional[_Union[_account_pb2.UserProfile, _Mapping]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ..., deactivated_tokens: _Optional[_Iterable[_Union[DeactivatedToken, _Mapping]]] = ..., deactivated_count: _Optional[int] = ...) -> None: ...

class GetUserProfileRequest(_message.Message):
    __slots__ = ("user_profile",)
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    user_profile: _account_pb2.UserProfileSelector
    def __init__(self, user_profile: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ...) -> None: ...

class GetUserProfileResponse(_message.Message):
    __slots__ = ("user_profile",)
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    user_profile: _account_pb2.UserProfile
    def __init__(self, user_profile: _Optional[_Union[_account_pb2.UserProfile, _Mapping]] = ...) -> None: ...

class ListUserProfilesRequest(_message.Message):
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

class ListUserProfilesResponse(_message.Message):
    __slots__ = ("user_profiles", "next_page_token")
    USER_PROFILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    user_profiles: _containers.RepeatedCompositeFieldContainer[_account_pb2.UserProfile]
    next_page_token: str
    def __init__(self, user_profiles: _Optional[_Iterable[_Union[_account_pb2.UserProfile, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateUserProfileRequest(_message.Message):
    __slots__ = ("selector", "user_profile", "update_mask", "etag", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _account_pb2.UserProfileSelector
    user_profile: _account_pb2.UserProfile
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., user_profile: _Optional[_Union[_account_pb2.UserProfile, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UpdateUserProfileResponse(_message.Message):
    __slots__ = ("user_profile",)
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    user_profile: _account_pb2.UserProfile
    def __init__(self, user_profile: _Optional[_Union[_account_pb2.UserProfile, _Mapping]] = ...) -> None: ...

class DeleteUserProfileRequest(_message.Message):
    __slots__ = ("selector", "etag", "force", "validate_only")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    selector: _account_pb2.UserProfileSelector
    etag: str
    force: bool
    validate_only: bool
    def __init__(self, selector: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., etag: _Optional[str] = ..., force: bool = ..., validate_only: bool = ...) -> None: ...

class DeleteUserProfileResponse(_message.Message):
    __slots__ = ("propagation",)
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    propagation: _propagation_pb2.Propagation
    def __init__(self, propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class ResolveIdRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class ResolveIdResponse(_message.Message):
    __slots__ = ("ids", "has_more")
    IDS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedCompositeFieldContainer[ResolvedId]
    has_more: bool
    def __init__(self, ids: _Optional[_Iterable[_Union[ResolvedId, _Mapping]]] = ..., has_more: bool = ...) -> None: ...

class ResolvedId(_message.Message):
    __slots__ = ("text", "id", "kind", "resources")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    text: str
    id: int
    kind: _account_pb2.ResourceKind
    resources: _containers.RepeatedCompositeFieldContainer[NamedResource]
    def __init__(self, text: _Optional[str] = ..., id: _Optional[int] = ..., kind: _Optional[_Union[_account_pb2.ResourceKind, str]] = ..., resources: _Optional[_Iterable[_Union[NamedResource, _Mapping]]] = ...) -> None: ...

class NamedResource(_message.Message):
    __slots__ = ("kind", "record_locator", "name", "username", "account_number", "key_id", "is_deleted")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RECORD_LOCATOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    IS_DELETED_FIELD_NUMBER: _ClassVar[int]
    kind: _account_pb2.ResourceKind
    record_locator: str
    name: str
    username: str
    account_number: str
    key_id: str
    is_deleted: bool
    def __init__(self, kind: _Optional[_Union[_account_pb2.ResourceKind, str]] = ..., record_locator: _Optional[str] = ..., name: _Optional[str] = ..., username: _Optional[str] = ..., account_number: _Optional[str] = ..., key_id: _Optional[str] = ..., is_deleted: bool = ...) -> None: ...
