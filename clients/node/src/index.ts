/**
 * What Node programs call Keyward with.
 *
 *     const keyward = connect({ servers: 'keyward.internal:50051', token: ownToken });
 *     const { valid, reason } = await keyward.tokens.validateToken({ token });
 */
export { connect, type KeywardClient, type Methods } from './connect.js';
export type { Input } from './input.js';
export { toJson, type Json } from './json.js';
export type { Verdict } from './memory/verdict.js';
export { verdictOf } from './middleware/decision.js';
export {
  fastifyAuth,
  httpAuth,
  type FastifyReplyLike,
  type FastifyRequestLike,
  type HttpAuthOptions,
  type HttpRequest,
  type HttpResponse,
} from './middleware/http.js';
export {
  createSecretReader,
  type OnChange,
  type ReadSecret,
  type SecretName,
  type SecretReader,
  type SecretReaderOptions,
} from './secrets/secret-reader.js';
export {
  createValidator,
  type BoundText,
  type ValidateOptions,
  type Validator,
  type ValidatorCounts,
  type ValidatorOptions,
} from './validator/validator.js';
export { KeywardCallError, type Violation } from './transport/call-error.js';
export type { Keepalive } from './transport/channel-settings.js';
export { checkHealth } from './transport/health.js';
export { StatusCode, type StatusName } from './transport/status-code.js';
export type { CallOptions, ConnectOptions, Transport } from './transport/transport.js';
export * from './gen/keyward/account/v1/account.js';
export * from './gen/keyward/account/v1/account_service.js';
export * from './gen/keyward/audit/v1/audit.js';
export * from './gen/keyward/audit/v1/audit_service.js';
export * from './gen/keyward/coherence/v1/propagation.js';
export * from './gen/keyward/coherence/v1/status_service.js';
export * from './gen/keyward/manifest/v1/manifest.js';
export * from './gen/keyward/manifest/v1/manifest_service.js';
export * from './gen/keyward/secret/v1/secret.js';
export * from './gen/keyward/secret/v1/secret_service.js';
export * from './gen/keyward/smarter/v1/import_service.js';
export * from './gen/keyward/token/v1/token.js';
export * from './gen/keyward/token/v1/token_service.js';
// Both services have methods of these names.
export {
  AttachReferenceRequest,
  AttachReferenceResponse,
  DetachReferenceRequest,
  DetachReferenceResponse,
  ListReferencesRequest,
  ListReferencesResponse,
} from './gen/keyward/secret/v1/secret_service.js';
export {
  AttachReferenceRequest as AttachTokenReferenceRequest,
  AttachReferenceResponse as AttachTokenReferenceResponse,
  DetachReferenceRequest as DetachTokenReferenceRequest,
  DetachReferenceResponse as DetachTokenReferenceResponse,
  ListReferencesRequest as ListTokenReferencesRequest,
  ListReferencesResponse as ListTokenReferencesResponse,
} from './gen/keyward/token/v1/token_service.js';
