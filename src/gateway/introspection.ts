import { decodeValid } from '../token/validate-codec.js';
import type { Ruling } from './judge.js';

/** Introspection is the answer of RFC 7662. */
export type Introspection =
  | { readonly active: false }
  | {
      readonly active: true;
      readonly scope: string;
      readonly client_id: string;
      readonly username: string;
      readonly sub: string;
      readonly exp?: number;
      readonly iat: number;
      readonly jti: string;
      readonly token_type: 'Bearer';
      /** The key may have been changed since, because the database cannot be asked. */
      readonly keyward_stale?: true;
    };

/** introspectionOf tells nothing of what does not pass. A key is a client of its own, so its id is that of both. */
export function introspectionOf({ passing }: Ruling): Introspection {
  if (passing === undefined) return { active: false };
  const { record, stale } = passing;
  const { principal, keyId, scopes } = decodeValid(record);
  return {
    active: true,
    scope: scopes.join(' '),
    client_id: keyId,
    username: principal?.username ?? '',
    sub: String(principal?.userId ?? ''),
    ...(record.expiresAt === Infinity ? {} : { exp: Math.floor(record.expiresAt / 1000) }),
    iat: record.createdAt,
    jti: keyId,
    token_type: 'Bearer',
    ...(stale ? { keyward_stale: true } : {}),
  };
}
