from google.protobuf import field_mask_pb2 as _field_mask_pb2
from keyward.account.v1 import account_pb2 as _account_pb2
from keyward.coherence.v1 import propagation_pb2 as _propagation_pb2
from keyward.manifest.v1 import manifest_pb2 as _manifest_pb2
from keyward.secret.v1 import secret_pb2 as _secret_pb2
from keyward.token.v1 import token_pb2 as _token_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyManifestRequest(_message.Message):
    __slots__ = ("manifest", "dry_run", "update_mask", "secret_values")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    SECRET_VALUES_FIELD_NUMBER: _ClassVar[int]
    manifest: str
    dry_run: bool
    update_mask: _field_mask_pb2.FieldMask
    secret_values: _containers.RepeatedCompositeFieldContainer[_manifest_pb2.SecretValue]
    def __init__(self, manifest: _Optional[str] = ..., dry_run: bool = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., secret_values: _Optional[_Iterable[_Union[_manifest_pb2.SecretValue, _Mapping]]] = ...) -> None: ...

class ApplyManifestResponse(_message.Message):
    __slots__ = ("documents", "propagation")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_manifest_pb2.AppliedDocument]
    propagation: _propagation_pb2.Propagation
    def __init__(self, documents: _Optional[_Iterable[_Union[_manifest_pb2.AppliedDocument, _Mapping]]] = ..., propagation: _Optional[_Union[_propagation_pb2.Propagation, _Mapping]] = ...) -> None: ...

class GetManifestRequest(_message.Message):
    __slots__ = ("token", "secret", "account", "user", "user_profile", "format")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    USER_PROFILE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    token: _token_pb2.TokenSelector
    secret: _secret_pb2.SecretSelector
    account: _account_pb2.AccountSelector
    user: _account_pb2.UserSelector
    user_profile: _account_pb2.UserProfileSelector
    format: _manifest_pb2.ManifestFormat
    def __init__(self, token: _Optional[_Union[_token_pb2.TokenSelector, _Mapping]] = ..., secret: _Optional[_Union[_secret_pb2.SecretSelector, _Mapping]] = ..., account: _Optional[_Union[_account_pb2.AccountSelector, _Mapping]] = ..., user: _Optional[_Union[_account_pb2.UserSelector, _Mapping]] = ..., user_profile: _Optional[_Union[_account_pb2.UserProfileSelector, _Mapping]] = ..., format: _Optional[_Union[_manifest_pb2.ManifestFormat, str]] = ...) -> None: ...

class GetManifestResponse(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: str
    def __init__(self, manifest: _Optional[str] = ...) -> None: ...
