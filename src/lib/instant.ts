import type { Clock } from './clock.js';

/**
 * Instant is a point in time in microseconds since 1970-01-01T00:00:00Z: what PostgreSQL keeps,
 * so that nothing is lost between the two.
 */
export type Instant = bigint;

/** The range of `google.protobuf.Timestamp`: the years 1 to 9999. */
export const MIN_INSTANT: Instant = -62_135_596_800_000_000n;
export const MAX_INSTANT: Instant = 253_402_300_799_999_999n;

export const MICROSECONDS_A_DAY = 86_400_000_000n;

const PG_TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/;

const RFC_3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;

/** presentOf is the time by a clock. */
export function presentOf(clock: Clock): Instant {
  return instantFromMillis(clock.now());
}

export function instantFromMillis(millis: number): Instant {
  return BigInt(Math.round(millis * 1000));
}

/** millisFromInstant keeps microseconds as a fraction. */
export function millisFromInstant(instant: Instant): number {
  return Number(instant) / 1000;
}

/**
 * parsePgTimestamp reads PostgreSQL's text form of timestamptz (DateStyle ISO, any time zone).
 * What lies outside the range of a Timestamp, infinity included, becomes the nearest end of it.
 */
export function parsePgTimestamp(text: string): Instant {
  if (text === 'infinity') return MAX_INSTANT;
  if (text === '-infinity') return MIN_INSTANT;
  const match = PG_TIMESTAMP.exec(text);
  if (match === null) throw new Error(`not a timestamptz in ISO form: ${text}`);
  const [, digits, month, day, hour, minute, second, fraction, sign, zoneHour, zoneMinute, zoneSecond, bc] =
    match;
  // PostgreSQL's years end later than those of Date. 1 BC is the year 0.
  const year = bc === undefined ? Math.min(Number(digits), 10_001) : 1 - Number(digits);
  const date = new Date(0);
  date.setUTCFullYear(year, Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  const offset = Number(zoneHour) * 3600 + Number(zoneMinute ?? 0) * 60 + Number(zoneSecond ?? 0);
  const seconds = BigInt(date.getTime() / 1000 - (sign === '-' ? -offset : offset));
  return clamp(seconds * 1_000_000n + BigInt((fraction ?? '').padEnd(6, '0')));
}

/** parseRfc3339 reads a time such as `2026-01-31T12:00:00.5+01:00`; undefined for what is none. */
export function parseRfc3339(text: string): Instant | undefined {
  const [, time = '', fraction = '', zone = ''] = RFC_3339.exec(text) ?? [];
  const local = Date.parse(`${time}Z`);
  // There is no 30th of February, which would be read as a day of March.
  if (Number.isNaN(local) || !new Date(local).toISOString().startsWith(time)) return undefined;
  const millis = Date.parse(time + zone);
  return Number.isNaN(millis) ? undefined : BigInt(millis) * 1000n + BigInt(fraction.padEnd(6, '0'));
}

/** formatPgTimestamp writes an instant so that PostgreSQL reads it back exactly. */
export function formatPgTimestamp(instant: Instant): string {
  const micros = ((instant % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = new Date(Number((instant - micros) / 1000n));
  return `${date.toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`;
}

function clamp(instant: Instant): Instant {
  if (instant < MIN_INSTANT) return MIN_INSTANT;
  return instant > MAX_INSTANT ? MAX_INSTANT : instant;
}
