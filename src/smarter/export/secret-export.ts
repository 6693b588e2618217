import { timingSafeEqual } from 'node:crypto';
import type { Keyring } from '../../crypto/keyring.js';
import { SECRET_COLUMNS, secretRow, VALUE_VERSION, type SecretRow } from '../secret-rows.js';
import { textField, type Fields } from '../source-rows.js';
import type { BatchTally } from './export-report.js';
import type { PlatformTransaction, PlatformValue } from './platform.js';
import {
  attempt,
  attemptOrTell,
  columnValue,
  fittingFields,
  fittingTags,
  insert,
  update,
} from './platform-rows.js';
import { isRevalued, type OpenedValue, type SecretHere } from './secrets-here.js';
import type { Tags } from './tags.js';
import { agreed, changedHere, isUse, merge } from './three-way.js';
import { agreedWith, findOwners, overwriting, type WrittenRow } from './token-export.js';

/** SecretTools are what writing secrets needs. */
export interface SecretTools {
  readonly trx: PlatformTransaction;
  readonly tags: Tags | undefined;
  readonly keyring: Keyring;
  /** The key of the ring that the platform decrypts with. */
  readonly keyId: string;
  readonly tally: BatchTally;
}

/** isTouched tells whether there is something to write of a secret. */
export function isTouched(secret: SecretHere): boolean {
  const { before, announced, fields } = secret;
  return (
    before === undefined || announced !== null || isRevalued(secret) || changedHere(before, fields).length > 0
  );
}

/** exportSecrets brings the platform's rows of some secrets up to date. Gives what both sides hold of them from now on. */
export async function exportSecrets(
  tools: SecretTools,
  secrets: readonly SecretHere[],
  values: ReadonlyMap<string, OpenedValue>,
): Promise<WrittenRow[]> {
  const keys = secrets.flatMap(({ key }) => key ?? []);
  const profiles = secrets.map(({ fields }) => textField(fields, 'user_profile_id'));
  const there = await findSecrets(tools, keys);
  const owners = await findOwners(tools.trx, profiles);
  const written: Written[] = [];
  for (const secret of secrets) {
    const value = values.get(secret.id);
    const label = labelOf(secret);
    if (value !== undefined && 'refused' in value)
      tools.tally.note(label, 'value-refused', `${value.refused}: not written`);
    const bytes = value !== undefined && 'plaintext' in value ? value.plaintext : undefined;
    if (!owners.has(textField(secret.fields, 'user_profile_id'))) {
      tools.tally.leaveOut(label, 'without-owner', 'its owner is not on the platform: not written');
      continue;
    }
    const done = await exportOne(tools, secret, there, bytes);
    if (done !== undefined) written.push(done);
  }
  return agreedRows(tools, written);
}

/** Written is a row that was brought up to date. */
interface Written {
  readonly targetId: string;
  readonly key: string;
  readonly before: Fields;
  /** The number of the version whose value both sides hold. */
  readonly version: string;
  readonly overwritten?: Fields;
  readonly unseen: readonly string[];
}

function labelOf({ key, id }: SecretHere): string {
  return key ?? `${id} of Keyward`;
}

async function exportOne(
  tools: SecretTools,
  secret: SecretHere,
  there: ReadonlyMap<string, SecretRow>,
  bytes: Buffer | undefined,
): Promise<Written | undefined> {
  const { tally } = tools;
  const { key } = secret;
  const label = labelOf(secret);
  const row = there.get(key ?? '');
  if (row !== undefined) return changeOne(tools, secret, row, bytes);
  if (secret.before !== undefined) {
    tally.leaveOut(label, 'gone', 'gone from the platform since both had it: not written');
  } else if (bytes === undefined) {
    tally.leaveOut(label, 'without-value', 'it has no value that can be written: not written');
  } else {
    return createOne(tools, secret, bytes);
  }
  return undefined;
}

async function numberOf(trx: PlatformTransaction, fields: Fields): Promise<string | undefined> {
  const sql = 'SELECT id, name FROM secret_secret WHERE user_profile_id = ? AND name = ?';
  const rows = await trx.query(sql, [textField(fields, 'user_profile_id'), textField(fields, 'name')]);
  return rows.find(({ name }) => name === fields['name'])?.['id'] ?? undefined;
}

async function createOne(
  tools: SecretTools,
  secret: SecretHere,
  bytes: Buffer,
): Promise<Written | undefined> {
  let key: string | undefined;
  const isWritten = await attemptOrTell(tools.trx, labelOf(secret), tools.tally, async () => {
    key = await create(tools, secret, bytes);
  });
  if (!isWritten || key === undefined) return undefined;
  tools.tally.outcomes.push('created');
  return { targetId: secret.id, key, before: {}, version: String(secret.version), unseen: [] };
}

async function changeOne(
  tools: SecretTools,
  secret: SecretHere,
  row: SecretRow,
  value: Buffer | undefined,
): Promise<Written | undefined> {
  const { trx, tally, keyring } = tools;
  const label = labelOf(secret);
  const before = agreedWith(secret, row.fields);
  const isHeld = value !== undefined && holdsSame(keyring, row, value);
  const bytes = isHeld ? undefined : value;
  const { changes, conflicts, unseen } = merge(before, fitting(secret.fields, label, tally), row.fields);
  const isRevaluedThere = !isHeld && row.fields['value'] !== before['value'];
  for (const field of [...conflicts, ...(isRevaluedThere && bytes !== undefined ? ['value'] : [])]) {
    const isTheirs = field !== 'value' && !(field in changes);
    const whose = isTheirs ? "the platform's stays, which lets in less" : "Keyward's is written";
    tally.note(label, 'conflict', `${field} was changed on both sides: ${whose}`);
  }
  const isWritten = await attemptOrTell(trx, label, tally, () =>
    change(tools, { key: row.key, label, fields: secret.fields, changes, bytes }),
  );
  if (!isWritten) return undefined;
  const isUsed = bytes === undefined && isUse(changes);
  const isNothing = isUsed && Object.keys(changes).length === 0;
  tally.outcomes.push(isNothing ? 'unchanged' : isUsed ? 'used' : 'updated');
  const isAgreed = isHeld || bytes !== undefined;
  return {
    targetId: secret.id,
    key: row.key,
    before,
    ...overwriting({ ...changes, ...(bytes === undefined ? {} : { value: null }) }, row.fields),
    version: isAgreed ? String(secret.version) : textField(before, VALUE_VERSION),
    unseen: [...unseen, ...(isRevaluedThere && !isAgreed ? ['value', 'decryptable'] : [])],
  };
}

/** holdsSame tells whether the platform has this value already. */
function holdsSame(keyring: Keyring, { value }: SecretRow, bytes: Buffer): boolean {
  if (value.keyId === null) return false;
  const { plaintext } = keyring.decrypt(value.ciphertext, value.keyId);
  const isSame = plaintext.length === bytes.length && timingSafeEqual(plaintext, bytes);
  plaintext.fill(0);
  return isSame;
}

/** agreedRows reads rows again: what both sides hold from now on is what is there. */
async function agreedRows(tools: SecretTools, written: readonly Written[]): Promise<WrittenRow[]> {
  const now = await findSecrets(
    tools,
    written.map(({ key }) => key),
  );
  return written.flatMap(({ targetId, key, before, version, unseen, ...old }) => {
    const row = now.get(key);
    if (row === undefined) return [];
    const fields = { ...agreed(before, row.fields, { unseen }), [VALUE_VERSION]: version };
    return [{ key, targetId, fields, ...old }];
  });
}

/** findSecrets reads the platform's rows of some secrets, as an import reads them, and locks them. */
async function findSecrets(
  { trx, tags, keyring }: SecretTools,
  keys: readonly string[],
): Promise<ReadonlyMap<string, SecretRow>> {
  if (keys.length === 0) return new Map();
  const columns = [...SECRET_COLUMNS, `${trx.hex('encrypted_value')} AS stored_value`].join();
  const rows = await trx.query(`SELECT ${columns} FROM secret_secret WHERE id IN (?) FOR UPDATE`, [keys]);
  const tagged = await tags?.read(keys);
  return new Map(
    rows.map((row) => [row['id'] ?? '', secretRow(row, tagged?.get(row['id'] ?? '') ?? [], keyring)]),
  );
}

const COLUMN_NAMES: Readonly<Record<string, string>> = { last_accessed_at: 'last_accessed' };

function columnsOf(trx: PlatformTransaction, fields: Fields): Record<string, PlatformValue> {
  const { tags: _tags, ...others } = fields;
  return Object.fromEntries(
    Object.entries(others).map(([field, value]) => [
      COLUMN_NAMES[field] ?? field,
      columnValue(trx, field, value),
    ]),
  );
}

function fitting(fields: Fields, label: string, tally: BatchTally): Fields {
  return fittingTags(fittingFields(fields, label, tally), label, tally);
}

/** create makes a row, whose number the platform gives. */
async function create(
  tools: SecretTools,
  secret: SecretHere,
  plaintext: Buffer,
): Promise<string | undefined> {
  const { trx, keyring, keyId, tally } = tools;
  const { fields } = secret;
  const label = labelOf(secret);
  const wanted = fitting(fields, label, tally);
  await insert(trx, 'secret_secret', {
    ...columnsOf(trx, wanted),
    encrypted_value: keyring.encryptWith(keyId, plaintext),
  });
  const key = await numberOf(trx, fields);
  if (key !== undefined) await setTags(tools, key, label, wanted['tags']);
  return key;
}

interface Change {
  readonly key: string;
  readonly label: string;
  readonly fields: Fields;
  readonly changes: Fields;
  readonly bytes: Buffer | undefined;
}

async function change(tools: SecretTools, { key, label, fields, changes, bytes }: Change): Promise<void> {
  const { trx, keyring, keyId } = tools;
  if (bytes === undefined && Object.keys(changes).length === 0) return;
  const isUsed = bytes === undefined && isUse(changes);
  const columns = {
    ...columnsOf(trx, changes),
    ...(isUsed ? {} : columnsOf(trx, { updated_at: fields['updated_at'] ?? null })),
    ...(bytes === undefined ? {} : { encrypted_value: keyring.encryptWith(keyId, bytes) }),
  };
  await update(trx, 'secret_secret', columns, { column: 'id', value: key });
  if ('tags' in changes) await setTags(tools, key, label, changes['tags']);
}

async function setTags(
  { tags, tally }: SecretTools,
  number: string,
  label: string,
  wanted: Fields[string] | undefined,
): Promise<void> {
  const list = Array.isArray(wanted) ? (wanted as readonly string[]) : [];
  const refused = tags === undefined ? list : await tags.set(number, list);
  if (refused.length > 0) tally.note(label, 'tags', `${refused.length} of its tags cannot be written`);
}

/**
 * deleteSecrets deletes the platform's rows of secrets that were deleted in Keyward. One that something else there holds
 * stays. Gives those that are gone.
 */
export async function deleteSecrets(
  { trx, tags, tally }: Pick<SecretTools, 'trx' | 'tags' | 'tally'>,
  keys: readonly string[],
): Promise<string[]> {
  const rows = await trx.query('SELECT id FROM secret_secret WHERE id IN (?) FOR UPDATE', [keys]);
  const there = new Set(rows.map(({ id }) => id));
  const gone: string[] = [];
  for (const key of keys) {
    const refusal = await attempt(trx, async () => {
      await tags?.clear(key);
      await trx.query('DELETE FROM secret_secret WHERE id = ?', [key]);
    });
    if (refusal !== undefined) {
      const what = 'deleted here, and something on the platform refers to it: not deleted there';
      tally.leaveOut(key, 'held', what);
      continue;
    }
    gone.push(key);
    if (there.has(key)) tally.outcomes.push('deleted');
  }
  return gone;
}
