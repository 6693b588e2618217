import type { KeywardError, Reason } from '../lib/errors.js';
import type { Ruling } from './judge.js';

/** Refusal is what a gateway's client gets instead of the upstream's answer. */
export interface Refusal {
  readonly status: 401 | 403 | 503;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export type Refused = Extract<Ruling, { readonly passing: undefined }>;

export const RETRY_AFTER_SECONDS = '1';
const REALM = 'Bearer realm="keyward"';

/** The failures that say nothing of the client: the request may pass a moment later. */
const UNDECIDED: ReadonlySet<Reason> = new Set([
  'DATABASE_UNAVAILABLE',
  'OVERLOADED',
  'TOO_MANY_CALLS',
  'TOO_MANY_CONNECTIONS',
  'REQUEST_TIMEOUT',
  'DEADLINE_PASSED',
  'STOPPING',
  'INTERNAL',
]);

const NOT_PRESENTED = refusal(401, { 'www-authenticate': REALM }, 'missing_token');
/** One for every cause: an expired key looks like one that never was. */
const INVALID = refusal(401, { 'www-authenticate': `${REALM}, error="invalid_token"` }, 'invalid_token');
export const UNDECIDABLE = refusal(503, { 'retry-after': RETRY_AFTER_SECONDS }, 'temporarily_unavailable');

/** refusalOf tells a client no more than RFC 6750 has words for. */
export function refusalOf({ why }: Refused, requiredScopes: readonly string[]): Refusal {
  if (why === 'NOT_PRESENTED') return NOT_PRESENTED;
  if (why !== 'INSUFFICIENT_SCOPE') return INVALID;
  const challenge = `${REALM}, error="insufficient_scope", scope="${requiredScopes.join(' ')}"`;
  return refusal(403, { 'www-authenticate': challenge }, 'insufficient_scope');
}

/** isUndecided tells whether a failure says nothing of the client. */
export function isUndecided({ reason }: KeywardError): boolean {
  return UNDECIDED.has(reason);
}

function refusal(
  status: Refusal['status'],
  headers: Readonly<Record<string, string>>,
  error: string,
): Refusal {
  return {
    status,
    headers: [
      ...Object.entries(headers),
      ['content-type', 'application/json'],
      ['cache-control', 'no-store'],
    ],
    body: `${JSON.stringify({ error })}\n`,
  };
}
