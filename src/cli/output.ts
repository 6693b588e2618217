import type { Secret } from '../client/index.js';
import { formatPgTimestamp } from '../lib/instant.js';

type Timestamp = NonNullable<Secret['createdAt']>;

/** printJson prints what the service answered, as protobuf writes it: 64-bit numbers and times are text. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, replacer, 2)}\n`);
}

/** report prints what was done, as JSON where that is asked for. */
export function report({ json }: { readonly json?: true }, value: object, line: string): void {
  if (json === true) printJson(value);
  else process.stdout.write(`${line}\n`);
}

function replacer(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Map) return Object.fromEntries(value) as unknown;
  return isTimestamp(value) ? exactTime(value) : value;
}

function isTimestamp(value: unknown): value is Timestamp {
  return typeof value === 'object' && value !== null && 'seconds' in value && 'nanos' in value;
}

function exactTime({ seconds, nanos }: Timestamp): string {
  return formatPgTimestamp(seconds * 1_000_000n + BigInt(Math.floor(nanos / 1000)));
}

/** timeText is a time for people, to the second, or what stands for none. */
export function timeText(time: Timestamp | undefined, none = ''): string {
  return time === undefined ? none : `${exactTime(time).slice(0, 19)}Z`;
}

/** printTable prints rows under their headings. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [headings, ...rows.map((row) => row.map(printable))];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  for (const line of lines) {
    const cells = line.map((cell, column) => cell.padEnd(widths[column] ?? 0));
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
}

/** printFields prints names with their values, without those that have none. */
export function printFields(fields: Readonly<Record<string, string>>): void {
  const given = Object.entries(fields).filter(([, value]) => value !== '');
  const width = Math.max(...given.map(([name]) => name.length));
  for (const [name, value] of given) process.stdout.write(`${name.padEnd(width)}  ${printable(value)}\n`);
}

/** printable writes control characters as escapes: names that were imported may hold any, and a terminal obeys. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`;
  });
}
