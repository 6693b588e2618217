import type { Knex } from 'knex';
import type { Keyring } from '../crypto/keyring.js';
import { foldName } from '../lib/text.js';
import { applyChanges, noteFindings, sortBatch, type ChangedRow, type Fresh } from './batch.js';
import {
  decisionsOf,
  forgetConflicts,
  noteConflict,
  writeConflicts,
  type Conflict,
  type Preference,
} from './conflicts.js';
import { insertNumbered, isFree, noteNumber, takenNumbers } from './numbers.js';
import type { BatchReport } from './report.js';
import { VALUE_VERSION, type SecretRow } from './secret-rows.js';
import {
  addVersions,
  findReplacedValues,
  holdsSame,
  readNewestVersions,
  setKeys,
} from './secret-versions.js';
import { textField, type Fields } from './source-rows.js';
import { writeRecords } from './target-store.js';
import { SECRETS } from './target-tables.js';
import type { Tools } from './tools.js';

/** importSecrets takes one batch of secrets. Their owners must have been imported. */
export async function importSecrets(
  trx: Knex.Transaction,
  { keyring, conflicts, secretNames: names }: Tools,
  rows: readonly SecretRow[],
  report: BatchReport,
): Promise<void> {
  const replaced = await findReplacedValues(trx, rows);
  const { fresh, changes, unchanged } = await sortBatch(trx, SECRETS, rows, report, replaced);
  await conflicts.settle(trx, SECRETS, changes, report);
  await names.settle(trx, changes, report);
  await takeChangedValues(trx, keyring, conflicts.prefer, changes, report);
  await setFoundKeys(trx, keyring, changes, report);
  await applyChanges(trx, SECRETS, changes, report);
  await create(trx, keyring, await names.name(trx, fresh, report), report);
  for (const row of unchanged) {
    // Told every time: somebody may have to look for the key.
    if (row.fields['decryptable'] === false) noteValue(row, report);
  }
}

function noteValue({ label, value }: SecretRow, report: BatchReport): void {
  for (const { sort, what } of value.findings) report.note('secret', label, sort, what);
}

/**
 * takeChangedValues makes new versions of values that changed in the source. The same plaintext encrypted anew makes none.
 * Where the value was changed in Keyward too, the source's is added behind it, unless Keyward's is preferred or is
 * switched off.
 */
async function takeChangedValues(
  trx: Knex.Transaction,
  keyring: Keyring,
  prefer: Preference,
  changes: readonly ChangedRow<SecretRow>[],
  report: BatchReport,
): Promise<void> {
  const revalued = changes.filter(({ changed }) => changed.has('value'));
  const ids = revalued.map(({ targetId }) => targetId);
  const newest = await readNewestVersions(trx, ids);
  const decided = await decisionsOf(
    trx,
    'secret',
    'value',
    revalued.map(({ row }) => row.key),
  );
  const additions = [];
  const found: Conflict[] = [];
  for (const { row, targetId, before, changed, kept, remembered } of revalued) {
    const version = newest.get(targetId);
    const number = version?.number ?? 0;
    if (version !== undefined && holdsSame(keyring, version, row.value)) {
      remembered.set(VALUE_VERSION, String(number));
      for (const field of ['value', 'decryptable']) changed.delete(field);
      kept.add('value');
      continue;
    }
    const isEnabled = version?.state === 'ENABLED';
    if (!isEnabled || String(number) !== before[VALUE_VERSION]) {
      const side = decided.get(row.key) ?? (prefer === 'safer' ? (isEnabled ? 'source' : 'keyward') : prefer);
      found.push({ key: row.key, field: 'value', kept: side, keywardValue: null, sourceValue: null });
      noteConflict('secret', row.label, 'value', side, report);
      if (side === 'keyward') {
        for (const field of ['value', 'decryptable']) changed.delete(field);
        kept.add('value');
        continue;
      }
    }
    const createdAt = timeField(row.fields, 'updated_at');
    additions.push({ secretId: targetId, number: number + 1, value: row.value, createdAt });
    remembered.set(VALUE_VERSION, String(number + 1));
    noteValue(row, report);
  }
  await addVersions(trx, keyring, additions);
  await writeConflicts(
    trx,
    'secret',
    found.filter(({ key }) => !decided.has(key)),
  );
  await forgetConflicts(trx, 'secret', 'value', [...decided.keys()]);
}

/** setFoundKeys is for values that no key opened when they were imported, and one does now. */
async function setFoundKeys(
  trx: Knex.Transaction,
  keyring: Keyring,
  changes: readonly ChangedRow<SecretRow>[],
  report: BatchReport,
): Promise<void> {
  const rekeyed = changes.filter(({ changed }) => changed.has('decryptable') && !changed.has('value'));
  const found = await setKeys(
    trx,
    keyring,
    rekeyed
      .filter(({ row }) => row.value.keyId !== null)
      .map(({ row, targetId, before }) => {
        return { secretId: targetId, number: Number(textField(before, VALUE_VERSION)), value: row.value };
      }),
  );
  for (const { row, targetId, refused } of rekeyed) {
    if (found.has(targetId)) noteValue(row, report);
    // Keyward can open its own, whatever has become of the keys that open the source's.
    else refused.add('decryptable');
  }
}

async function create(
  trx: Knex.Transaction,
  keyring: Keyring,
  fresh: readonly Fresh<SecretRow>[],
  report: BatchReport,
): Promise<void> {
  if (fresh.length === 0) return;
  const taken = await takenNumbers(
    trx,
    SECRETS,
    fresh.map(({ row }) => row.key),
  );
  const secrets = await insertNumbered(
    trx,
    SECRETS,
    fresh.map(({ row, columns }) => ({
      row,
      columns: { ...columns, name_key: foldName(textField(columns, 'name')) },
      id: isFree(row.key, taken) ? row.key : undefined,
    })),
  );
  await addVersions(
    trx,
    keyring,
    secrets.map(({ row, id }) => {
      return { secretId: id, number: 1, value: row.value, createdAt: timeField(row.fields, 'created_at') };
    }),
  );
  const records = secrets.map(({ row, id }) => {
    return { key: row.key, targetId: id, fields: { ...row.fields, [VALUE_VERSION]: '1' } };
  });
  await writeRecords(trx, 'secret', records);
  for (const { row, id } of secrets) {
    report.outcomes.push('created');
    if (id !== row.key) noteNumber(SECRETS, row, 'it has a new one and so another public id', report);
    noteFindings(SECRETS, row, report);
    noteValue(row, report);
  }
}

function timeField(fields: Fields, name: string): string | null {
  const time = fields[name];
  return typeof time === 'string' ? time : null;
}
