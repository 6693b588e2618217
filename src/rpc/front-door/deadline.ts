import type { IncomingHttpHeaders } from 'node:http2';
import { KeywardError } from '../../lib/errors.js';

/** How the library reads the header `grpc-timeout`. */
const TIMEOUT = /(\d{1,8})\s*([HMSmun])/;
const MILLISECONDS: Readonly<Record<string, number>> = {
  H: 3.6e6,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** 24 days. The library keeps milliseconds in 32 bits: more than 2^31 of them are "now" for it. */
const MAX_MS = 24 * 24 * 3_600_000;
/** The header has eight digits. */
const MAX_OF_A_UNIT = 99_999_999;

/** Deadline is when a client waits no longer for its call. */
export class Deadline {
  /** Of `performance.now()`. */
  readonly #at: number;

  constructor(timeoutMs: number) {
    this.#at = performance.now() + timeoutMs;
  }

  /** refusal is for a call that waited for longer than its client does; undefined for one that is in time. */
  get refusal(): KeywardError | undefined {
    if (performance.now() < this.#at) return undefined;
    return new KeywardError('DEADLINE_PASSED', 'The deadline passed before the call was judged.');
  }

  /** toHeader is the header `grpc-timeout` for what is left, which is never nothing. */
  toHeader(): string {
    const left = Math.max(1, Math.ceil(this.#at - performance.now()));
    return left <= MAX_OF_A_UNIT ? `${left}m` : `${Math.ceil(left / 1000)}S`;
  }
}

/** deadlineOf reads the header, with at most 24 days in it. What is no time is left to the library, which refuses it. */
export function deadlineOf(headers: IncomingHttpHeaders): Deadline | undefined {
  const header = headers['grpc-timeout'];
  if (typeof header !== 'string') return undefined;
  const [, amount = '', unit = ''] = TIMEOUT.exec(header) ?? [];
  const milliseconds = Number(amount) * (MILLISECONDS[unit] ?? NaN);
  return Number.isNaN(milliseconds) ? undefined : new Deadline(Math.min(milliseconds, MAX_MS));
}
