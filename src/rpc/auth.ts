import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type { Authenticatee, Identity } from '../account/caller.js';
import { credentialsRefused } from '../lib/errors.js';
import { keyIdOf } from '../token/validate-codec.js';
import type { Known, Verdicts } from '../token/verdicts.js';
import type { VerdictRecord } from '../token/verdict.js';
import type { CertificateCallers, Found } from './certificate-callers.js';

/** What a call proves of its caller, and where it comes from. */
export interface Credentials {
  /** The header of that name; undefined for none. */
  readonly authorization: string | undefined;
  readonly peer: string;
  readonly requestId: string;
  readonly authContext: ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>;
}

/** Authenticated is the caller of a call. */
export interface Authenticated {
  readonly caller: Authenticatee;
  /** True if the credentials may have been withdrawn meanwhile, because the database cannot be asked. */
  readonly stale: boolean;
}

// The scheme in any case, spaces, the token; all of it printable ASCII, as values of gRPC's metadata must be.
const AUTHORIZATION = /^ *(?:bearer|token) +([!-~]+) *$/i;

/** KnownToken is a caller's token that memory knew. */
export type KnownToken = Known;

/** Authenticator turns credentials into a caller: a token, or else a client certificate. */
export class Authenticator {
  readonly #verdicts: Verdicts;
  readonly #certificates: CertificateCallers;

  constructor(verdicts: Verdicts, certificates: CertificateCallers) {
    this.#verdicts = verdicts;
    this.#certificates = certificates;
  }

  /** peek authenticates a token from memory alone; undefined if that cannot be decided or is refused. */
  peek(authorization: string | undefined): VerdictRecord | undefined {
    const token = presentedToken(authorization);
    return token === undefined ? undefined : this.#verdicts.peekValid(token);
  }

  /** know is the same for a call whose request is still to come: `use` tells when it has. */
  know(authorization: string | undefined): KnownToken | undefined {
    const token = presentedToken(authorization);
    return token === undefined ? undefined : this.#verdicts.know(token);
  }

  /** use returns what a token is worth by now; undefined if memory alone cannot decide that, or it is refused. */
  use(known: KnownToken): VerdictRecord | undefined {
    return this.#verdicts.use(known);
  }

  /** authenticate throws CREDENTIALS_REFUSED, with the same text, for every cause. */
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

  async #ownerOf(token: string | undefined): Promise<Found | undefined> {
    const verdict = token === undefined ? undefined : await this.#verdicts.findValid(token);
    return verdict && { identity: identityOf(verdict.record), stale: verdict.stale };
  }

  async #userOf(name: string | undefined): Promise<Found | undefined> {
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

/** authorizationOf reads the header out of metadata. One that is there twice is none that could be accepted. */
export function authorizationOf(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (value === undefined) return undefined;
  return values.length === 1 && typeof value === 'string' ? value : '';
}

function presentedToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : AUTHORIZATION.exec(authorization)?.[1];
}

function identityOf(record: VerdictRecord): Identity {
  const { userId, username, profileId, accountNumber } = record.owner;
  return { userId, username, profileId, accountNumber, keyId: keyIdOf(record), scopes: record.scopes };
}
