import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type { Caller } from '../account/caller.js';
import { credentialsRefused } from '../lib/errors.js';
import { keyIdOf } from '../token/validate-codec.js';
import type { Verdicts } from '../token/verdicts.js';
import type { VerdictRecord } from '../token/verdict.js';
import type { CertificateCallers } from './certificate-callers.js';

/** What a call proves of its caller. */
export interface Credentials {
  readonly metadata: Metadata;
  readonly authContext: ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>;
}

// The scheme in any case, spaces or tabs, the token.
const AUTHORIZATION = /^[ \t]*(?:bearer|token)[ \t]+([^ \t]+)[ \t]*$/i;

/** Authenticator turns credentials into a caller: a token, or else a client certificate. */
export class Authenticator {
  readonly #verdicts: Verdicts;
  readonly #certificates: CertificateCallers;

  constructor(verdicts: Verdicts, certificates: CertificateCallers) {
    this.#verdicts = verdicts;
    this.#certificates = certificates;
  }

  /** peek authenticates a token from memory alone; undefined if that cannot be decided or is refused. */
  peek(metadata: Metadata): VerdictRecord | undefined {
    const token = presentedToken(metadata);
    return token === undefined ? undefined : this.#verdicts.peekValid(token);
  }

  /** authenticate throws CREDENTIALS_REFUSED, with the same text, for every cause. */
  async authenticate({ metadata, authContext }: Credentials): Promise<Caller> {
    if (metadata.get('authorization').length > 0) {
      const token = presentedToken(metadata);
      const record = token === undefined ? undefined : await this.#verdicts.findValid(token);
      if (record === undefined) throw credentialsRefused();
      return callerOf(record);
    }
    const name = commonName(authContext);
    const caller = name === undefined ? undefined : await this.#certificates.find(name);
    if (caller === undefined) throw credentialsRefused();
    return caller;
  }
}

/** commonName is the subject's common name of a certificate that TLS verified. A subject may be empty. */
function commonName(authContext: Credentials['authContext']): string | undefined {
  const subject: unknown = authContext.sslPeerCertificate?.subject;
  if (typeof subject !== 'object' || subject === null || !('CN' in subject)) return undefined;
  return typeof subject.CN === 'string' ? subject.CN : undefined;
}

function presentedToken(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'string') return undefined;
  return AUTHORIZATION.exec(value)?.[1];
}

function callerOf(record: VerdictRecord): Caller {
  const { userId, username, profileId } = record.owner;
  return { userId, username, profileId, keyId: keyIdOf(record), scopes: record.scopes };
}
