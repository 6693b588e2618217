import type { Duration } from '../gen/google/protobuf/duration.js';
import type { Timestamp } from '../gen/google/protobuf/timestamp.js';
import { MAX_INSTANT, MIN_INSTANT, type Instant } from '../lib/instant.js';
import type { Violations } from '../lib/violations.js';

/** toTimestamp writes an instant; null becomes a field that is not set. */
export function toTimestamp(instant: Instant | null): Timestamp | undefined {
  if (instant === null) return undefined;
  const micros = ((instant % 1_000_000n) + 1_000_000n) % 1_000_000n;
  return { seconds: (instant - micros) / 1_000_000n, nanos: Number(micros) * 1000 };
}

/** fromTimestamp reads a Timestamp, dropping what is finer than a microsecond; undefined for one that is none. */
export function fromTimestamp(
  v: Violations,
  field: string,
  { seconds, nanos }: Timestamp,
): Instant | undefined {
  const instant = seconds * 1_000_000n + BigInt(Math.floor(nanos / 1000));
  const valid = nanos >= 0 && nanos <= 999_999_999 && instant >= MIN_INSTANT && instant <= MAX_INSTANT;
  v.check(valid, field, 'must be a valid timestamp of the years 1 to 9999');
  return valid ? instant : undefined;
}

/** toDuration writes a span of milliseconds that is not negative. */
export function toDuration(ms: number): Duration {
  const micros = Math.round(ms * 1000);
  return { seconds: BigInt(Math.floor(micros / 1_000_000)), nanos: (micros % 1_000_000) * 1000 };
}

/** toSignedDuration writes a span of milliseconds that may be negative. */
export function toSignedDuration(ms: number): Duration {
  const { seconds, nanos } = toDuration(Math.abs(ms));
  return ms < 0 ? { seconds: -seconds, nanos: -nanos } : { seconds, nanos };
}

/** fromDuration reads a Duration in microseconds, dropping what is finer; undefined for one that is none. */
export function fromDuration(v: Violations, field: string, { seconds, nanos }: Duration): bigint | undefined {
  const sameSign = seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0;
  const valid =
    Math.abs(nanos) <= 999_999_999 && seconds >= -315_576_000_000n && seconds <= 315_576_000_000n && sameSign;
  v.check(valid, field, 'must be a valid duration');
  return valid ? seconds * 1_000_000n + BigInt(Math.trunc(nanos / 1000)) : undefined;
}

/** Expiry is how requests say when something ends: at a time, or after a span from now. */
export type Expiry =
  | { readonly $case: 'expiresAt'; readonly value: Timestamp }
  | { readonly $case: 'ttl'; readonly value: Duration }
  | undefined;

/** readExpiry reads the fields `expires_at` and `ttl`; null for never. That a time lies ahead is left to the rules. */
export function readExpiry(v: Violations, expiry: Expiry, now: Instant): Instant | null {
  if (expiry === undefined) return null;
  if (expiry.$case === 'expiresAt') return fromTimestamp(v, 'expires_at', expiry.value) ?? null;
  const ttl = fromDuration(v, 'ttl', expiry.value);
  if (ttl === undefined) return null;
  if (ttl > 0n && now + ttl <= MAX_INSTANT) return now + ttl;
  v.add('ttl', 'must be above 0 and end before the year 10000');
  return null;
}
