# Written by scripts/generate.py. DO NOT EDIT.
"""The methods of every service. docs/api.md describes them."""

from keyward.account.v1 import account_service_pb2 as account_service
from keyward.audit.v1 import audit_service_pb2 as audit_service
from keyward.coherence.v1 import status_service_pb2 as status_service
from keyward.manifest.v1 import manifest_service_pb2 as manifest_service
from keyward.secret.v1 import secret_service_pb2 as secret_service
from keyward.smarter.v1 import import_service_pb2 as import_service
from keyward.token.v1 import token_service_pb2 as token_service

from ._methods import AsyncBidiStream, AsyncServerStream, AsyncService, AsyncUnary


class Accounts(AsyncService):
    """keyward.account.v1.AccountService"""

    create_account = AsyncUnary("/keyward.account.v1.AccountService/CreateAccount", account_service.CreateAccountRequest, account_service.CreateAccountResponse)
    get_account = AsyncUnary("/keyward.account.v1.AccountService/GetAccount", account_service.GetAccountRequest, account_service.GetAccountResponse)
    list_accounts = AsyncUnary("/keyward.account.v1.AccountService/ListAccounts", account_service.ListAccountsRequest, account_service.ListAccountsResponse)
    update_account = AsyncUnary("/keyward.account.v1.AccountService/UpdateAccount", account_service.UpdateAccountRequest, account_service.UpdateAccountResponse)
    delete_account = AsyncUnary("/keyward.account.v1.AccountService/DeleteAccount", account_service.DeleteAccountRequest, account_service.DeleteAccountResponse)
    create_user = AsyncUnary("/keyward.account.v1.AccountService/CreateUser", account_service.CreateUserRequest, account_service.CreateUserResponse)
    get_user = AsyncUnary("/keyward.account.v1.AccountService/GetUser", account_service.GetUserRequest, account_service.GetUserResponse)
    list_users = AsyncUnary("/keyward.account.v1.AccountService/ListUsers", account_service.ListUsersRequest, account_service.ListUsersResponse)
    update_user = AsyncUnary("/keyward.account.v1.AccountService/UpdateUser", account_service.UpdateUserRequest, account_service.UpdateUserResponse)
    delete_user = AsyncUnary("/keyward.account.v1.AccountService/DeleteUser", account_service.DeleteUserRequest, account_service.DeleteUserResponse)
    create_user_profile = AsyncUnary("/keyward.account.v1.AccountService/CreateUserProfile", account_service.CreateUserProfileRequest, account_service.CreateUserProfileResponse)
    get_user_profile = AsyncUnary("/keyward.account.v1.AccountService/GetUserProfile", account_service.GetUserProfileRequest, account_service.GetUserProfileResponse)
    list_user_profiles = AsyncUnary("/keyward.account.v1.AccountService/ListUserProfiles", account_service.ListUserProfilesRequest, account_service.ListUserProfilesResponse)
    update_user_profile = AsyncUnary("/keyward.account.v1.AccountService/UpdateUserProfile", account_service.UpdateUserProfileRequest, account_service.UpdateUserProfileResponse)
    delete_user_profile = AsyncUnary("/keyward.account.v1.AccountService/DeleteUserProfile", account_service.DeleteUserProfileRequest, account_service.DeleteUserProfileResponse)
    resolve_id = AsyncUnary("/keyward.account.v1.AccountService/ResolveId", account_service.ResolveIdRequest, account_service.ResolveIdResponse)


class Audit(AsyncService):
    """keyward.audit.v1.AuditService"""

    list_audit_events = AsyncUnary("/keyward.audit.v1.AuditService/ListAuditEvents", audit_service.ListAuditEventsRequest, audit_service.ListAuditEventsResponse)


class Status(AsyncService):
    """keyward.coherence.v1.StatusService"""

    list_replicas = AsyncUnary("/keyward.coherence.v1.StatusService/ListReplicas", status_service.ListReplicasRequest, status_service.ListReplicasResponse)


class Manifests(AsyncService):
    """keyward.manifest.v1.ManifestService"""

    apply_manifest = AsyncUnary("/keyward.manifest.v1.ManifestService/ApplyManifest", manifest_service.ApplyManifestRequest, manifest_service.ApplyManifestResponse)
    get_manifest = AsyncUnary("/keyward.manifest.v1.ManifestService/GetManifest", manifest_service.GetManifestRequest, manifest_service.GetManifestResponse)


class Secrets(AsyncService):
    """keyward.secret.v1.SecretService"""

    create_secret = AsyncUnary("/keyward.secret.v1.SecretService/CreateSecret", secret_service.CreateSecretRequest, secret_service.CreateSecretResponse)
    get_secret = AsyncUnary("/keyward.secret.v1.SecretService/GetSecret", secret_service.GetSecretRequest, secret_service.GetSecretResponse)
    list_secrets = AsyncUnary("/keyward.secret.v1.SecretService/ListSecrets", secret_service.ListSecretsRequest, secret_service.ListSecretsResponse)
    update_secret = AsyncUnary("/keyward.secret.v1.SecretService/UpdateSecret", secret_service.UpdateSecretRequest, secret_service.UpdateSecretResponse)
    rename_secret = AsyncUnary("/keyward.secret.v1.SecretService/RenameSecret", secret_service.RenameSecretRequest, secret_service.RenameSecretResponse)
    clone_secret = AsyncUnary("/keyward.secret.v1.SecretService/CloneSecret", secret_service.CloneSecretRequest, secret_service.CloneSecretResponse)
    transfer_secret = AsyncUnary("/keyward.secret.v1.SecretService/TransferSecret", secret_service.TransferSecretRequest, secret_service.TransferSecretResponse)
    delete_secret = AsyncUnary("/keyward.secret.v1.SecretService/DeleteSecret", secret_service.DeleteSecretRequest, secret_service.DeleteSecretResponse)
    undelete_secret = AsyncUnary("/keyward.secret.v1.SecretService/UndeleteSecret", secret_service.UndeleteSecretRequest, secret_service.UndeleteSecretResponse)
    add_secret_version = AsyncUnary("/keyward.secret.v1.SecretService/AddSecretVersion", secret_service.AddSecretVersionRequest, secret_service.AddSecretVersionResponse)
    list_secret_versions = AsyncUnary("/keyward.secret.v1.SecretService/ListSecretVersions", secret_service.ListSecretVersionsRequest, secret_service.ListSecretVersionsResponse)
    disable_secret_version = AsyncUnary("/keyward.secret.v1.SecretService/DisableSecretVersion", secret_service.DisableSecretVersionRequest, secret_service.DisableSecretVersionResponse)
    enable_secret_version = AsyncUnary("/keyward.secret.v1.SecretService/EnableSecretVersion", secret_service.EnableSecretVersionRequest, secret_service.EnableSecretVersionResponse)
    destroy_secret_version = AsyncUnary("/keyward.secret.v1.SecretService/DestroySecretVersion", secret_service.DestroySecretVersionRequest, secret_service.DestroySecretVersionResponse)
    access_secret = AsyncUnary("/keyward.secret.v1.SecretService/AccessSecret", secret_service.AccessSecretRequest, secret_service.AccessSecretResponse)
    batch_access_secrets = AsyncUnary("/keyward.secret.v1.SecretService/BatchAccessSecrets", secret_service.BatchAccessSecretsRequest, secret_service.BatchAccessSecretsResponse)
    attach_reference = AsyncUnary("/keyward.secret.v1.SecretService/AttachReference", secret_service.AttachReferenceRequest, secret_service.AttachReferenceResponse)
    detach_reference = AsyncUnary("/keyward.secret.v1.SecretService/DetachReference", secret_service.DetachReferenceRequest, secret_service.DetachReferenceResponse)
    list_references = AsyncUnary("/keyward.secret.v1.SecretService/ListReferences", secret_service.ListReferencesRequest, secret_service.ListReferencesResponse)
    grant_access = AsyncUnary("/keyward.secret.v1.SecretService/GrantAccess", secret_service.GrantAccessRequest, secret_service.GrantAccessResponse)
    revoke_access = AsyncUnary("/keyward.secret.v1.SecretService/RevokeAccess", secret_service.RevokeAccessRequest, secret_service.RevokeAccessResponse)
    list_grants = AsyncUnary("/keyward.secret.v1.SecretService/ListGrants", secret_service.ListGrantsRequest, secret_service.ListGrantsResponse)
    rotate_encryption_key = AsyncServerStream("/keyward.secret.v1.SecretService/RotateEncryptionKey", secret_service.RotateEncryptionKeyRequest, secret_service.RotateEncryptionKeyResponse)
    get_rotation_status = AsyncUnary("/keyward.secret.v1.SecretService/GetRotationStatus", secret_service.GetRotationStatusRequest, secret_service.GetRotationStatusResponse)
    watch_secrets = AsyncServerStream("/keyward.secret.v1.SecretService/WatchSecrets", secret_service.WatchSecretsRequest, secret_service.WatchSecretsResponse)


class Imports(AsyncService):
    """keyward.smarter.v1.ImportService"""

    list_import_conflicts = AsyncUnary("/keyward.smarter.v1.ImportService/ListImportConflicts", import_service.ListImportConflictsRequest, import_service.ListImportConflictsResponse)


class Tokens(AsyncService):
    """keyward.token.v1.TokenService"""

    validate_token = AsyncUnary("/keyward.token.v1.TokenService/ValidateToken", token_service.ValidateTokenRequest, token_service.ValidateTokenResponse)
    batch_validate_tokens = AsyncUnary("/keyward.token.v1.TokenService/BatchValidateTokens", token_service.BatchValidateTokensRequest, token_service.BatchValidateTokensResponse)
    stream_validate_tokens = AsyncBidiStream("/keyward.token.v1.TokenService/StreamValidateTokens", token_service.StreamValidateTokensRequest, token_service.StreamValidateTokensResponse)
    create_token = AsyncUnary("/keyward.token.v1.TokenService/CreateToken", token_service.CreateTokenRequest, token_service.CreateTokenResponse)
    get_token = AsyncUnary("/keyward.token.v1.TokenService/GetToken", token_service.GetTokenRequest, token_service.GetTokenResponse)
    list_tokens = AsyncUnary("/keyward.token.v1.TokenService/ListTokens", token_service.ListTokensRequest, token_service.ListTokensResponse)
    update_token = AsyncUnary("/keyward.token.v1.TokenService/UpdateToken", token_service.UpdateTokenRequest, token_service.UpdateTokenResponse)
    rename_token = AsyncUnary("/keyward.token.v1.TokenService/RenameToken", token_service.RenameTokenRequest, token_service.RenameTokenResponse)
    clone_token = AsyncUnary("/keyward.token.v1.TokenService/CloneToken", token_service.CloneTokenRequest, token_service.CloneTokenResponse)
    transfer_token = AsyncUnary("/keyward.token.v1.TokenService/TransferToken", token_service.TransferTokenRequest, token_service.TransferTokenResponse)
    activate_token = AsyncUnary("/keyward.token.v1.TokenService/ActivateToken", token_service.ActivateTokenRequest, token_service.ActivateTokenResponse)
    deactivate_token = AsyncUnary("/keyward.token.v1.TokenService/DeactivateToken", token_service.DeactivateTokenRequest, token_service.DeactivateTokenResponse)
    toggle_token = AsyncUnary("/keyward.token.v1.TokenService/ToggleToken", token_service.ToggleTokenRequest, token_service.ToggleTokenResponse)
    rotate_token = AsyncUnary("/keyward.token.v1.TokenService/RotateToken", token_service.RotateTokenRequest, token_service.RotateTokenResponse)
    revoke_token = AsyncUnary("/keyward.token.v1.TokenService/RevokeToken", token_service.RevokeTokenRequest, token_service.RevokeTokenResponse)
    revoke_user_tokens = AsyncUnary("/keyward.token.v1.TokenService/RevokeUserTokens", token_service.RevokeUserTokensRequest, token_service.RevokeUserTokensResponse)
    attach_reference = AsyncUnary("/keyward.token.v1.TokenService/AttachReference", token_service.AttachReferenceRequest, token_service.AttachReferenceResponse)
    detach_reference = AsyncUnary("/keyward.token.v1.TokenService/DetachReference", token_service.DetachReferenceRequest, token_service.DetachReferenceResponse)
    list_references = AsyncUnary("/keyward.token.v1.TokenService/ListReferences", token_service.ListReferencesRequest, token_service.ListReferencesResponse)
    watch_tokens = AsyncServerStream("/keyward.token.v1.TokenService/WatchTokens", token_service.WatchTokensRequest, token_service.WatchTokensResponse)
