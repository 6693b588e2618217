import { FUNCTION, MILLISECONDS, TEXT, TEXTS, YES_OR_NO, type Rules } from './options.js';
import type { CallOptions, ConnectOptions } from './transport.js';

const METADATA = {
  what: 'an object of texts',
  is: (value: unknown) => typeof value === 'object' && value !== null && Object.values(value).every(TEXT.is),
};

/** The rules of the options of a call. */
export const CALL_RULES: Rules<CallOptions> = {
  signal: { what: 'an AbortSignal', is: (value) => value instanceof AbortSignal },
  timeoutMs: MILLISECONDS,
  metadata: METADATA,
};

/** The rules of the options of `connect`. */
export const CONNECT_RULES: Rules<ConnectOptions> = {
  servers: { what: 'a text, or a list of texts', is: (value) => TEXT.is(value) || TEXTS.is(value) },
  token: TEXT,
  tokenFile: TEXT,
  getToken: FUNCTION,
  tls: YES_OR_NO,
  ca: TEXT,
  cert: TEXT,
  key: TEXT,
  plaintext: YES_OR_NO,
  proxy: YES_OR_NO,
  skipVerification: YES_OR_NO,
  timeoutMs: MILLISECONDS,
  retry: YES_OR_NO,
  keepalive: { what: '{ timeMs, timeoutMs }, each above 0, or false', is: isKeepalive },
  metadata: METADATA,
};

function isKeepalive(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value === false;
  const { timeMs, timeoutMs, ...others } = value as Record<string, unknown>;
  return [timeMs, timeoutMs].every(MILLISECONDS.is) && Object.keys(others).length === 0;
}
