import { codePoints } from '../../lib/text.js';
import type { FieldValue, Fields } from '../source-rows.js';
import type { BatchTally } from './export-report.js';
import type { PlatformTransaction, PlatformValue } from './platform.js';

/** Limits of the platform's columns, in characters. */
const MAX_VERSION = 255;
const MAX_TAG = 100;

/** fittingFields leaves out what a column of the platform cannot hold, and tells so. */
export function fittingFields(fields: Fields, label: string, tally: BatchTally): Fields {
  const { version } = fields;
  if (typeof version !== 'string' || codePoints(version) <= MAX_VERSION) return fields;
  tally.note(label, 'version-long', `its version is longer than ${MAX_VERSION} characters: not written`);
  const { version: _version, ...others } = fields;
  return others;
}

/** fittingTags leaves out tags that django-taggit cannot hold, and tells so. */
export function fittingTags(fields: Fields, label: string, tally: BatchTally): Fields {
  const tags = Array.isArray(fields['tags']) ? (fields['tags'] as readonly string[]) : [];
  const fitting = tags.filter((tag) => codePoints(tag) <= MAX_TAG);
  if (fitting.length === tags.length) return fields;
  tally.note(label, 'tag-long', `tags of more than ${MAX_TAG} characters: not written`);
  return { ...fields, tags: fitting };
}

/** columnValue writes a field as the platform's column holds it. */
export function columnValue(
  trx: PlatformTransaction,
  field: string,
  value: FieldValue | undefined,
): PlatformValue {
  if (field === 'annotations') return JSON.stringify(annotationList(value));
  if (field === 'tags') return JSON.stringify(value ?? []);
  if (field === 'expires_at' || field.startsWith('last_') || field.endsWith('_at')) {
    return trx.time(typeof value === 'string' ? value : null);
  }
  return typeof value === 'string' || typeof value === 'boolean' ? value : null;
}

/** annotationList is the platform's form: a list of objects with one key each. */
function annotationList(value: FieldValue | undefined): Record<string, string>[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).map(([key, text]) => ({ [key]: text }));
}

/** update sets columns of one row. */
export async function update(
  trx: PlatformTransaction,
  table: string,
  columns: Readonly<Record<string, PlatformValue>>,
  where: { readonly column: string; readonly value: PlatformValue },
): Promise<void> {
  const names = Object.keys(columns);
  if (names.length === 0) return;
  const set = names.map((name) => `${name} = ?`).join();
  await trx.query(`UPDATE ${table} SET ${set} WHERE ${where.column} = ?`, [
    ...Object.values(columns),
    where.value,
  ]);
}

/** insert makes one row. */
export async function insert(
  trx: PlatformTransaction,
  table: string,
  columns: Readonly<Record<string, PlatformValue>>,
): Promise<void> {
  const names = Object.keys(columns);
  await trx.query(
    `INSERT INTO ${table} (${names.join()}) VALUES (${names.map(() => '?').join()})`,
    Object.values(columns),
  );
}

/**
 * attempt writes one row, and takes back what it wrote if the platform's database refuses it: the others of the batch
 * shall not wait for that one. Gives the code of the refusal, if there was one.
 */
export async function attempt(
  trx: PlatformTransaction,
  write: () => Promise<void>,
): Promise<string | undefined> {
  await trx.query('SAVEPOINT row_');
  try {
    await write();
    await trx.query('RELEASE SAVEPOINT row_');
    return undefined;
  } catch (error) {
    const code = refusalOf(error);
    if (code === undefined) throw error;
    await trx.query('ROLLBACK TO SAVEPOINT row_');
    return code;
  }
}

/** attemptOrTell does so, and tells about a refusal. Answers whether the row was written. */
export async function attemptOrTell(
  trx: PlatformTransaction,
  label: string,
  tally: BatchTally,
  write: () => Promise<void>,
): Promise<boolean> {
  const code = await attempt(trx, write);
  if (code === undefined) return true;
  // Messages would quote values.
  tally.leaveOut(label, 'refused', `the platform's database refuses it: ${code}`);
  return false;
}

/**
 * refusalOf gives the code of a violated constraint, or of a value that does not fit. MySQL's codes are names,
 * PostgreSQL's are SQLSTATEs of two classes.
 */
function refusalOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string') return undefined;
  return /^2[23]...$/.test(code) || MYSQL_REFUSALS.has(code) ? code : undefined;
}

const MYSQL_REFUSALS = new Set([
  ...['ER_DUP_ENTRY', 'ER_NO_REFERENCED_ROW_2', 'ER_ROW_IS_REFERENCED_2', 'ER_BAD_NULL_ERROR'],
  ...['ER_DATA_TOO_LONG', 'ER_TRUNCATED_WRONG_VALUE', 'ER_NO_DEFAULT_FOR_FIELD', 'ER_WARN_DATA_OUT_OF_RANGE'],
  'ER_CONSTRAINT_FAILED',
]);
