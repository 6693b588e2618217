/**
 * `authn/` finds out who calls: the owner of the token in `authorization`, or else the user whose name stands in the
 * client's certificate. What a caller may do is for `authz/`.
 *
 *     const { caller, stale } = await authenticator.authenticate(credentials);
 */

import type { Identity } from '../authz/caller.js';
import { digestOf, type Digest } from '../crypto/digest.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Authenticated, Authenticator, Credentials, KnownCaller, Scoped } from '../rpc/authenticator.js';
import { keyIdOf } from '../token/validate-codec.js';
import type { VerdictRecord } from '../token/verdict.js';
import type { Known, Verdicts } from '../token/verdicts.js';
import type { CertificateCallers, FoundCaller } from './certificate-callers.js';

// The scheme in any case, spaces, the token; all of it printable ASCII, as values of gRPC's metadata must be.
const AUTHORIZATION = /^ *(?:bearer|token) +([!-~]+) *$/i;

/** KnownToken is a caller's token that memory knew. */
class KnownToken implements KnownCaller {
  readonly #verdicts: Verdicts;
  readonly #known: Known;

  constructor(verdicts: Verdicts, known: Known) {
    this.#verdicts = verdicts;
    this.#known = known;
  }

  get userId(): bigint {
    return this.#known.record.owner.userId;
  }

  use(): Scoped | undefined {
    return this.#verdicts.use(this.#known);
  }
}

/** CredentialsAuthenticator turns credentials into a caller: a token, or else a client certificate. */
export class CredentialsAuthenticator implements Authenticator {
  readonly #verdicts: Verdicts;
  readonly #certificates: CertificateCallers;

  constructor(verdicts: Verdicts, certificates: CertificateCallers) {
    this.#verdicts = verdicts;
    this.#certificates = certificates;
  }

  authenticateFromMemory(authorization: string | undefined): Scoped | undefined {
    const token = presentedToken(authorization);
    return token === undefined ? undefined : this.#verdicts.validFromMemory(token);
  }

  know(authorization: string | undefined): KnownCaller | undefined {
    const token = presentedToken(authorization);
    const known = token === undefined ? undefined : this.#verdicts.know(token);
    return known && new KnownToken(this.#verdicts, known);
  }

  async authenticate(credentials: Credentials): Promise<Authenticated> {
    const { authorization, authContext, peer, requestId } = credentials;
    const found =
      authorization === undefined
        ? await this.#userOf(commonName(authContext))
        : await this.#ownerOf(presentedToken(authorization));
    if (found === undefined) throw credentialsRefused();
    const origin = { peer, requestId, certificate: certificateOf(authContext) };
    return { caller: { ...found.identity, origin }, stale: found.stale };
  }

  async #ownerOf(token: string | undefined): Promise<FoundCaller | undefined> {
    const verdict = token === undefined ? undefined : await this.#verdicts.findValid(token);
    return verdict && { identity: identityOf(verdict.record, digestOf(token ?? '')), stale: verdict.stale };
  }

  async #userOf(name: string | undefined): Promise<FoundCaller | undefined> {
    return name === undefined ? undefined : this.#certificates.find(name);
  }
}

/** commonName is the subject's common name of a certificate that TLS verified. A subject may be empty. */
function commonName(authContext: Credentials['authContext']): string | undefined {
  const subject: unknown = authContext.sslPeerCertificate?.subject;
  if (typeof subject !== 'object' || subject === null || !('CN' in subject)) return undefined;
  return typeof subject.CN === 'string' ? subject.CN : undefined;
}

/** certificateOf names a client certificate so that it can be found again: many may have one common name. */
function certificateOf(authContext: Credentials['authContext']): string | undefined {
  const fingerprint: unknown = authContext.sslPeerCertificate?.fingerprint256;
  if (typeof fingerprint !== 'string') return undefined;
  return `CN=${commonName(authContext) ?? ''} sha256=${fingerprint.replaceAll(':', '').toLowerCase()}`;
}

function presentedToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : AUTHORIZATION.exec(authorization)?.[1];
}

function identityOf(record: VerdictRecord, digest: Digest): Identity {
  const { userId, username, profileId, accountId, accountNumber } = record.owner;
  const credential = { digest, accountId };
  return {
    userId,
    username,
    profileId,
    accountNumber,
    keyId: keyIdOf(record),
    scopes: record.scopes,
    credential,
  };
}
