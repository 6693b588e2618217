import { decodeValid } from '../token/validate-codec.js';
import type { VerdictRecord } from '../token/verdict.js';

/** GatewayIdentity is what a gateway tells an upstream of the key that a request came with. */
export interface GatewayIdentity {
  readonly user: string;
  readonly account: string;
  readonly 'key-id': string;
  readonly 'key-name': string;
  /** Separated by spaces. */
  readonly scopes: string;
  /** `true` if the key may have been changed since, because the database cannot be asked; else `false`. */
  readonly stale: 'true' | 'false';
}

const HEADER_PREFIX = 'x-keyward-';

/** Everything but visible ASCII, and what the form itself needs. */
const UNSAFE = /[^!-$&-~]+/gu;

export function gatewayIdentity(record: VerdictRecord, stale: boolean): GatewayIdentity {
  const { principal, keyId, name, scopes } = decodeValid(record);
  return {
    user: principal?.username ?? '',
    account: principal?.accountNumber ?? '',
    'key-id': keyId,
    'key-name': name,
    scopes: scopes.join(' '),
    stale: stale ? 'true' : 'false',
  };
}

/** identityHeaders are the headers of an identity, each with a value that is safe in any header. */
export function identityHeaders({ scopes, ...texts }: GatewayIdentity): (readonly [string, string])[] {
  return [
    ...Object.entries(texts).map(([name, text]) => [HEADER_PREFIX + name, headerText(text)] as const),
    [`${HEADER_PREFIX}scopes`, scopes],
  ];
}

/** headerText percent-encodes the UTF-8 of what is not visible ASCII, and percent signs. */
export function headerText(text: string): string {
  return text.replace(UNSAFE, encodeURIComponent);
}
