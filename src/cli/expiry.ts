import { InvalidArgumentError } from 'commander';
import type { Secret } from '../client/index.js';
import { systemClock } from '../lib/clock.js';

/** Expiry is when something ends; `at` is undefined for never. */
export interface Expiry {
  readonly at: Secret['expiresAt'];
}

export const EXPIRY_HELP = 'a time (2030-01-31T12:00:00Z), a span from now (90d, 12h, 30m), or "never"';

const SPAN = /^(\d{1,7})([dhm])$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000 };

/** readExpiry reads an option's text. That the time lies ahead is for the service to judge. */
export function readExpiry(text: string): Expiry {
  if (text === 'never') return { at: undefined };
  const [, amount, unit] = SPAN.exec(text) ?? [];
  const millis =
    amount === undefined
      ? Date.parse(TIME.test(text) ? text : '')
      : systemClock.now() + Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  if (Number.isNaN(millis)) throw new InvalidArgumentError(`It must be ${EXPIRY_HELP}.`);
  const seconds = Math.floor(millis / 1000);
  return { at: { seconds: BigInt(seconds), nanos: Math.floor(millis - seconds * 1000) * 1_000_000 } };
}
