import type { Secret } from '../../client/index.js';
import { formatPgTimestamp } from '../../lib/instant.js';
import { printable, printableJson } from '../../lib/text.js';
import { io } from './io.js';

type Timestamp = NonNullable<Secret['createdAt']>;

/*
 * This is the only file that writes to the terminal: what it prints came from others in part, and a terminal obeys
 * control characters. Each function escapes them.
 */

/** printLine prints one line. */
export function printLine(line: string): void {
  io().stdout.write(`${printable(line)}\n`);
}

/** printText prints lines that the caller has put together. */
export function printText(text: string): void {
  io().stdout.write(printableLines(text));
}

/** printErrorText does the same on standard error. */
export function printErrorText(text: string): void {
  io().stderr.write(printableLines(text));
}

export function printErrorLine(line: string): void {
  io().stderr.write(`${printable(line)}\n`);
}

/** warn writes to standard error, so that what a command prints can still be read by programs. */
export function warn(line: string): void {
  printErrorLine(`keyward: warning: ${line}`);
}

/** showLine keeps one line of a terminal up to date; elsewhere it shows nothing. An empty line clears it. */
export function showLine(line: string): void {
  const { stderr } = io();
  if (stderr.isTTY === true) stderr.write(`\r\x1b[K${printable(line)}`);
}

/** printBytes prints a secret's value as it is. */
export function printBytes(bytes: Uint8Array): void {
  io().stdout.write(bytes);
}

/** printJson prints what the service answered, as protobuf writes it: 64-bit numbers and times are text. */
export function printJson(value: unknown): void {
  printJsonText(JSON.stringify(value, replacer, 2));
}

/** printJsonLine is JSON on one line, for what has neither. */
export function printJsonLine(value: unknown): void {
  printJsonText(JSON.stringify(value));
}

/** printJsonText prints what is JSON already. */
export function printJsonText(json: string): void {
  io().stdout.write(`${printableJson(json)}\n`);
}

/** report prints what was done, as JSON where that is asked for. */
export function report({ json }: { readonly json?: true }, value: object, line: string): void {
  if (json === true) printJson(value);
  else printLine(line);
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
    printLine(cells.join('  ').trimEnd());
  }
}

/** printFields prints names with their values, without those that have none. */
export function printFields(fields: Readonly<Record<string, string>>): void {
  const given = Object.entries(fields).filter(([, value]) => value !== '');
  const width = Math.max(...given.map(([name]) => name.length));
  for (const [name, value] of given) printLine(`${name.padEnd(width)}  ${value}`);
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
