import { InvalidArgumentError } from 'commander';
import type { RotateTokenRequest, Secret } from '../client/index.js';
import { systemClock } from '../lib/clock.js';

/** Expiry is when something ends; `at` is undefined for never. */
export interface Expiry {
  readonly at: Secret['expiresAt'];
}

interface ExpiryField {
  readonly expiry?: { readonly $case: 'expiresAt'; readonly value: NonNullable<Expiry['at']> };
}

export const EXPIRY_HELP = 'a time (2030-01-31T12:00:00Z), a span from now (90d, 12h, 30m), or "never"';

const SPAN = /^(\d{1,7})([dhm])$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000 };

/** readExpiry reads an option's text. That the time lies ahead is for the service to judge. */
export function readExpiry(text: string): Expiry {
  if (text === 'never') return { at: undefined };
  const span = spanOf(text);
  const millis = span === undefined ? Date.parse(TIME.test(text) ? text : '') : systemClock.now() + span;
  if (Number.isNaN(millis)) throw new InvalidArgumentError(`It must be ${EXPIRY_HELP}.`);
  const seconds = Math.floor(millis / 1000);
  return { at: { seconds: BigInt(seconds), nanos: Math.floor(millis - seconds * 1000) * 1_000_000 } };
}

/** expiryField is an expiry as requests have it, which leave it out for never. */
export function expiryField(expires: Expiry | undefined): ExpiryField {
  return expires?.at === undefined ? {} : { expiry: { $case: 'expiresAt', value: expires.at } };
}

export const SPAN_HELP = 'a span (7d, 12h, 30m)';

/** readSpan reads an option's text. How long it may be is for the service to judge. */
export function readSpan(text: string): NonNullable<RotateTokenRequest['gracePeriod']> {
  const millis = spanOf(text);
  if (millis === undefined) throw new InvalidArgumentError(`It must be ${SPAN_HELP}.`);
  return { seconds: BigInt(millis / 1000), nanos: 0 };
}

/** spanOf is a span in milliseconds; undefined where the text is none. */
function spanOf(text: string): number | undefined {
  const [, amount, unit] = SPAN.exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
}
